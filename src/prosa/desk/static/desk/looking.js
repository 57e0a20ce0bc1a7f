// Which conversation this tab has before it is told to colleagues, and who else looks at it is shown.

const $ = (id) => document.getElementById(id);
const body = document.body;
const AWAY_MS = 3000; // going through tabs is no leaving
const MOST = 3;

export const tab = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;
let open = () => 0, told = 0, timer = 0;

function tell(id, keepalive = false) {
  const values = new FormData();
  values.set("tab", tab);
  values.set("conversation", id);
  told = id;
  return fetch(body.dataset.look, { method: "POST", body: values, keepalive, headers: { "X-CSRFToken": body.dataset.csrf, "HX-Request": "true" } }).catch(() => null);
}

const seen = () => (document.visibilityState === "visible" ? open() : 0);

// What is open now; `again` also when it was told before (the server may have forgotten).
export async function look(again = false) {
  clearTimeout(timer);
  timer = 0;
  const id = seen();
  if (id === told && !again) return;
  if (!id && !told) return;
  const answer = await tell(id);
  if (answer?.ok && id) looking({ id, names: (await answer.json()).names });
}

export function looking({ id, names }) {
  const place = $("lookers");
  if (!place || id !== open()) return;
  const shown = names.slice(0, MOST).map((name) => {
    const one = document.createElement("span");
    one.className = "looker";
    const words = name.trim().split(/\s+/);
    one.textContent = (words[0][0] + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
    return one;
  });
  if (names.length > MOST) shown.push(`+${names.length - MOST}`);
  for (const one of shown) if (one.setAttribute) one.setAttribute("aria-hidden", "true");
  const words = document.createElement("span");
  words.textContent = names.length === 1 ? place.dataset.one.replace("%s", names[0]) : place.dataset.more.replace("%s", names.join(", "));
  place.title = words.textContent;
  place.hidden = !names.length;
  if (names.length) place.replaceChildren(...shown, words);
  else place.replaceChildren();
}

// `which`: the number of the conversation that is open, 0 for none.
export function attend(which) {
  open = which;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    timer = setTimeout(look, document.visibilityState === "visible" ? 0 : AWAY_MS);
  });
  addEventListener("pagehide", () => { if (told) tell(0, true); });
  addEventListener("pageshow", (event) => { if (event.persisted) look(true); });
}

// Who is here, and how much they have, may have changed since the pane was drawn.
document.addEventListener("focusin", async (event) => {
  if (event.target.id !== "assign") return;
  const answer = await fetch(body.dataset.colleagues, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return;
  for (const [member, text] of Object.entries(await answer.json())) {
    const option = event.target.querySelector(`option[value="member:${member}"]`);
    if (option && option.textContent !== text) option.textContent = text;
  }
});
