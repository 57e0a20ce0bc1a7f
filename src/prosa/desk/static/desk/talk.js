// The conversation that is open: what comes in, what is written, who has it.

import { attend, focusComposer, forsake } from "./composer.js";
import { tell } from "./desk.js";
import { ended } from "./ended.js";
import { close, open, stays, take, toEnd, unseen } from "./messages.js";

const $ = (id) => document.getElementById(id);
const csrf = document.body.dataset.csrf;
export const talk = { id: 0 };

let last = "0", at = "", busy = false, again = false;

const bubbles = () => $("bubbles");

// ── opening and leaving ──

export function settle() {
  const thread = document.querySelector(".thread");
  talk.id = thread ? Number(thread.dataset.id) : 0;
  if (!thread) return;
  last = thread.dataset.last;
  at = thread.dataset.at;
  tell(thread);
  window_();
  lookAgain(thread.dataset.lookAgain);
  $("show-contact").addEventListener("click", openContact);
  attend();
  open(thread.dataset.shown); // last: where a message was looked for, it has the focus
}

export function leave() {
  forsake();
  close();
  lookAgain(0);
  talk.id = 0;
}

// ── what comes in ──

export async function catchUp() {
  if (!talk.id) return;
  if (busy) { again = true; return; }
  busy = true;
  const id = talk.id;
  try {
    const unfinished = [...bubbles().querySelectorAll("[data-unfinished]")].map((each) => each.dataset.message).join(",");
    const answer = await fetch(`${document.body.dataset.mount}c/${id}/since?after=${last}&at=${encodeURIComponent(at)}&unfinished=${unfinished}${document.visibilityState === "visible" ? "" : "&unseen=1"}`, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) return ended();
    if (!answer.ok || id !== talk.id) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const fresh = holder.content.querySelector("#fresh"), standing = holder.content.querySelector("#standing");
    const stay = stays(), added = take([...fresh.children], Number(last), speak);
    last = fresh.dataset.last;
    at = fresh.dataset.at;
    const now = $("standing");
    document.dispatchEvent(new CustomEvent("prosa:since", { detail: holder.content }));
    if (now.dataset.state !== standing.dataset.state || now.innerHTML !== standing.innerHTML) now.replaceWith(standing);
    else now.dataset.epoch = standing.dataset.epoch;
    if (stay) toEnd();
    else if (added) unseen();
    window_();
    lookAgain(fresh.dataset.lookAgain);
    again ||= "more" in fresh.dataset;
  } catch {
    // The stream says when the connection is back.
  } finally {
    busy = false;
    if (again) { again = false; catchUp(); }
  }
}

document.addEventListener("prosa:whole", catchUp);

// That somebody writes here too ends unsaid: it is looked for when it should be over.
let looking = 0;
function lookAgain(seconds) {
  clearTimeout(looking);
  looking = seconds ? setTimeout(catchUp, Number(seconds) * 1000 + 300) : 0;
}

// The customer writes: said until they have, or have not for a while.
const TYPES_MS = 7000;
let typing = 0;
export function customerTypes(id) {
  if (id && id !== talk.id) return;
  const line = $("customer-types");
  clearTimeout(typing);
  if (!line) return;
  line.textContent = id ? line.dataset.text : "";
  if (id) typing = setTimeout(customerTypes, TYPES_MS, 0);
}

// For those who hear the page: what a customer just wrote.
function speak(item) {
  if (!item.classList.contains("in")) return;
  customerTypes(0);
  const said = item.querySelector(".text")?.textContent || item.querySelector("[aria-label], img[alt]")?.ariaLabel || "";
  $("aloud").textContent = `${document.querySelector(".thread h2").textContent}: ${said}`.slice(0, 300);
}

// The customer's pane follows what others do; what somebody writes or chooses in it stays until they have done so.
let behind = false;
const FIELDS = "input:not([type=hidden]), textarea, select";
function used(pane) {
  const focus = pane.contains(document.activeElement) && document.activeElement;
  if (focus && (!focus.id || focus.matches(FIELDS))) return true;
  return [...pane.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue && field.checkVisibility());
}
export async function refreshContact(event) {
  const pane = $("contact");
  behind = Boolean(pane) && event.id === talk.id && pane.dataset.version !== event.pane;
  if (!behind || used(pane)) return;
  behind = false;
  await redraw(pane.contains(document.activeElement) ? document.activeElement.id : "");
}
document.addEventListener("focusout", (event) => {
  if (!behind || !event.target.closest?.("#contact")) return;
  setTimeout(() => { const pane = $("contact"); if (behind && pane && !used(pane)) { behind = false; redraw(); } });
});

// The pane anew; `focus` is the id of what had the focus in it.
async function redraw(focus = "") {
  const pane = $("contact"), id = talk.id;
  const answer = await fetch(`${document.body.dataset.mount}c/${id}/contact`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || talk.id !== id) return;
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  const fresh = holder.content.firstElementChild;
  if (pane.classList.contains("shown")) fresh.classList.add("shown");
  for (const kept of pane.querySelectorAll("details[open][class]")) for (const same of fresh.querySelectorAll(`details.${kept.classList[0]}`)) same.open = true;
  $("contact").replaceWith(fresh);
  window.htmx?.process(fresh);
  tell(fresh);
  if (focus) $(focus)?.focus({ preventScroll: true });
}

function window_() {
  const line = document.querySelector(".window[data-until]");
  if (!line) return;
  const left = (new Date(line.dataset.until) - Date.now()) / 60000;
  line.hidden = left > 240;
  if (left <= 0) { delete line.dataset.until; catchUp(); }
  line.querySelector("time").textContent = left > 90 ? `${Math.round(left / 60)} h` : `${Math.max(0, Math.round(left))} min`;
}
setInterval(window_, 30000);

// ── moves ──

export function refuse(html) {
  const place = $("refused");
  if (!place) return;
  place.innerHTML = html;
  setTimeout(() => { if (place.innerHTML === html) place.replaceChildren(); }, 9000);
}

export async function post(address, values) {
  const form = values instanceof FormData ? values : new FormData();
  if (!(values instanceof FormData)) for (const [name, value] of Object.entries(values)) form.set(name, value);
  const answer = await fetch(address, { method: "POST", body: form, headers: { "X-CSRFToken": csrf, "HX-Request": "true" } });
  if (answer.status === 401) ended();
  return answer;
}

export async function move(name, values = {}) {
  if (!talk.id) return;
  const seen = { epoch: $("standing").dataset.epoch, last }; // what this page shows is what is being decided upon
  try {
    const answer = await post(`${document.body.dataset.mount}c/${talk.id}/${name}`, { ...seen, ...values });
    if (!answer.ok) refuse(await answer.text());
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  }
  catchUp();
}

document.addEventListener("change", (event) => {
  const select = event.target.closest?.("select[data-move]");
  if (!select) return;
  const chosen = select.value, snoozes = select.dataset.move === "snooze";
  if (snoozes) $("snooze-at").hidden = chosen !== "at";
  if (snoozes && chosen === "at") $("snooze-until").focus();
  else if (!snoozes || chosen !== "kept") move(select.dataset.move, snoozes ? { until: chosen } : { to: chosen }).then(() => redraw(select.id));
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "snooze-at") return;
  event.preventDefault();
  move("snooze", { until: $("snooze-until").value }).then(() => redraw("snooze"));
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("#hide-contact")) closeContact();
  const button = event.target.closest?.("button[data-move]");
  if (button) {
    if (button.dataset.ask && !confirm(button.dataset.ask)) return;
    move(button.dataset.move);
    return;
  }
  const label = event.target.closest?.("button[data-label]");
  if (label) {
    const on = label.getAttribute("aria-pressed") !== "true";
    label.setAttribute("aria-pressed", String(on));
    post(label.dataset.label, { on: on ? "1" : "" }).then((answer) => { if (!answer.ok) label.setAttribute("aria-pressed", String(!on)); });
    return;
  }
  const mode = event.target.closest?.(".mode");
  if (mode) focusComposer(mode.dataset.mode);
});

export function openContact() { $("contact")?.classList.add("shown"); $("show-contact")?.setAttribute("aria-expanded", "true"); $("hide-contact")?.focus(); }
export function closeContact() { $("contact")?.classList.remove("shown"); $("show-contact")?.setAttribute("aria-expanded", "false"); $("show-contact")?.focus(); }
