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

function show(title, text, id) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  try {
    const shown = new Notification(title, { body: text, tag: `prosa-${id}`, icon: document.body.dataset.icon });
    shown.addEventListener("click", () => { window.focus(); document.querySelector(`#row-${id} a`)?.click(); shown.close(); });
  } catch {
    // Phones allow it to service workers only.
  }
}

// A row of the stream: `row` as it stands now (it may not be in this list), `before` as it stood.
export function ring(event, row, before) {
  const waits = event.state === "awaiting_agent" && before?.state !== "awaiting_agent";
  const mine = String(event.assignee ?? "") === member && event.state === "agent_active";
  const at = new Date(waits ? event.state_at : event.at).getTime();
  if (!(waits || mine) || Date.now() - at > RECENT_MS) return;
  const key = `${waits ? "w" : "m"}${event.id}`;
  if (told.get(key) === at) return;
  const first = !told.has(key) && !waits && before && before.at === event.at;
  told.set(key, at);
  if (first) return; // only its state changed, nobody wrote
  const looking = document.visibilityState === "visible" && document.hasFocus() && location.pathname === `${document.body.dataset.mount}c/${event.id}`;
  if (looking) return;
  if (on("sounds")) chime();
  if (on("notices") && !(document.visibilityState === "visible" && document.hasFocus())) {
    const holder = document.createElement("template");
    holder.innerHTML = event.html;
    show(words(holder.content, "strong"), waits ? $("bell").dataset.waits : words(holder.content, ".said"), event.id);
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
