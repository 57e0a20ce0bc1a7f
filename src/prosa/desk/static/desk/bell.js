// Sounds and notifications of the browser: when somebody begins to wait, and when a customer of mine writes.
// Each is switched for this browser. Before the first click or key a browser plays nothing: then nothing is tried.

const $ = (id) => document.getElementById(id);
const body = document.body;
const member = body.dataset.member;
const words = (row, selector) => row?.querySelector(selector)?.textContent.trim() || "";
const on = (name) => localStorage.getItem(`prosa-${name}`) === "on";
const RECENT_MS = 90000; // older news were caught up with, not new
const told = new Map();

let sound = null;
export function chime() {
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  try {
    sound ||= new AudioContext();
    sound.resume().catch(() => {});
    const now = sound.currentTime;
    for (const [index, pitch] of [659, 880].entries()) {
      const tone = sound.createOscillator(), loudness = sound.createGain(), at = now + index * 0.14;
      tone.type = "sine";
      tone.frequency.value = pitch;
      loudness.gain.setValueAtTime(0.0001, at);
      loudness.gain.exponentialRampToValueAtTime(0.16, at + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.0001, at + 0.32);
      tone.connect(loudness).connect(sound.destination);
      tone.start(at);
      tone.stop(at + 0.34);
    }
  } catch {
    // A browser without sound.
  }
}

// To its conversation, also where this tab's list does not hold it.
function go(id) {
  window.focus();
  if (!id || location.pathname === `${body.dataset.mount}c/${id}`) return;
  const link = document.querySelector(`#row-${id} a`);
  if (link) link.click();
  else location.assign(`${body.dataset.mount}c/${id}`);
}

function show(title, text, id) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  try {
    const shown = new Notification(title, { body: text, tag: `prosa-${id}`, icon: document.body.dataset.icon });
    shown.addEventListener("click", () => { go(id); shown.close(); });
  } catch {
    // Phones allow it to service workers only.
  }
}

// Whose are the calls: who waits for me, for a team of mine, or for nobody in particular.
const myTeams = new Set((body.dataset.teams || "").split(" ").filter(Boolean));
const forMe = ({ assignee, team }) => (assignee ? String(assignee) === member : !team || myTeams.has(String(team)));
const leads = ["owner", "admin"].includes(body.dataset.role);
const AGAIN_MS = 15000; // a call the rota passes on at once is one call
const MOST_KNOWN = 5000;
const known = new Map(); // the customer's newest message in a conversation, as last told

// Why this row of the stream is worth a sound, and what makes this time another than the last; or nothing.
function reason(event, before) {
  const was = known.get(event.id) ?? (before ? Number(before.inbound) : undefined);
  if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value);
  known.set(event.id, event.inbound);
  const fresh = (moment) => event.now - moment < RECENT_MS; // by the server's clock
  if (event.state === "awaiting_agent") {
    if (leads && event.escalated && fresh(event.escalated)) return ["forgotten", event.escalated];
    return forMe(event) && fresh(event.given) ? ["waits", event.given] : null;
  }
  if (event.asked && fresh(event.asked) && forMe({ team: event.asked_team })) return ["asked", event.asked];
  if (event.state !== "agent_active" || String(event.assignee ?? "") !== member) return null;
  const wrote = was === undefined ? fresh(new Date(event.at).getTime()) : event.inbound > was;
  return wrote ? ["wrote", event.inbound] : null;
}

// A row of the stream; `before` is the data of the row it takes the place of in this list, if it has one.
export function ring(event, before) {
  const found = reason(event, before);
  if (!found) return;
  const [why, mark] = found, key = `${why}${event.id}`, last = told.get(key);
  if (last?.mark === mark || (why === "waits" && last && event.now - last.at < AGAIN_MS)) return;
  if (told.size >= MOST_KNOWN) told.delete(told.keys().next().value);
  told.set(key, { mark, at: event.now });
  const looking = document.visibilityState === "visible" && document.hasFocus() && location.pathname === `${body.dataset.mount}c/${event.id}`;
  if (looking) return;
  document.dispatchEvent(new CustomEvent("prosa:ring", { detail: { id: event.id, why } }));
  if (on("sounds")) chime();
  if (on("notices") && !(document.visibilityState === "visible" && document.hasFocus())) {
    const holder = document.createElement("template");
    holder.innerHTML = event.html;
    show(words(holder.content, "strong"), why === "wrote" ? words(holder.content, ".said") : $("bell").dataset[why], event.id);
  }
}

function settle() {
  const sounds = $("sounds"), notices = $("notices");
  const blocked = !("Notification" in window) || Notification.permission === "denied";
  sounds.checked = on("sounds");
  notices.checked = on("notices") && !blocked && Notification.permission === "granted";
  notices.disabled = blocked;
  $("notices-blocked").hidden = !blocked;
}
$("sounds").addEventListener("change", (event) => { localStorage.setItem("prosa-sounds", event.target.checked ? "on" : "off"); if (event.target.checked) chime(); });
$("notices").addEventListener("change", async (event) => {
  const wanted = event.target.checked && (await Notification.requestPermission()) === "granted";
  localStorage.setItem("prosa-notices", wanted ? "on" : "off");
  settle();
});
$("try-bell").addEventListener("click", () => { chime(); show("Prosa", $("bell").dataset.waits, 0); });
settle();
