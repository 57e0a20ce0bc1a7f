// The conversation that is open: what comes in, what is written, who has it.

import { attend, focusComposer, forsake } from "./composer.js";
import { tell } from "./desk.js";
import { ended } from "./ended.js";

const $ = (id) => document.getElementById(id);
const csrf = document.body.dataset.csrf;
export const talk = { id: 0 };

let last = "0", at = "", busy = false, again = false;

const bubbles = () => $("bubbles");
const atEnd = () => { const list = bubbles(); return !list || list.scrollHeight - list.scrollTop - list.clientHeight < 80; };
let stuck = true; // is the newest message what is being read?
export function toEnd() {
  const list = bubbles(), more = $("newer");
  stuck = true;
  if (list) {
    list.scrollTop = list.scrollHeight;
    requestAnimationFrame(() => { if (stuck) list.scrollTop = list.scrollHeight; }); // heights were estimates until drawn
  }
  if (more) more.hidden = true;
}

// ── opening and leaving ──

export function settle() {
  const thread = document.querySelector(".thread");
  talk.id = thread ? Number(thread.dataset.id) : 0;
  if (!thread) return;
  last = thread.dataset.last;
  at = thread.dataset.at;
  tell(thread);
  days();
  toEnd();
  window_();
  $("newer").addEventListener("click", toEnd);
  let top = bubbles().scrollTop;
  bubbles().addEventListener("scroll", () => {
    // Only going up leaves the end: pictures and the composer grow without anybody having scrolled.
    if (atEnd()) { stuck = true; $("newer").hidden = true; } else if (bubbles().scrollTop < top - 2) stuck = false;
    top = bubbles().scrollTop;
  }, { passive: true });
  const follow = () => { if (stuck) toEnd(); };
  bubbles().addEventListener("load", follow, true); // a picture has its height only now,
  bubbles().addEventListener("contentvisibilityautostatechange", follow, true); // a bubble when it is drawn,
  new ResizeObserver(follow).observe(bubbles()); // and the field below grows while one writes
  bubbles().addEventListener("htmx:beforeSwap", hold);
  $("show-contact").addEventListener("click", openContact);
  attend();
}

export function leave() {
  forsake();
  talk.id = 0;
}

// Older messages are put above without what is read moving.
function hold(event) {
  const list = bubbles();
  if (!event.target.classList?.contains("more")) return;
  const first = list.querySelector(":scope > .bubble, :scope > .note, :scope > .event");
  const from = first?.getBoundingClientRect().top;
  stuck = false;
  list.addEventListener("htmx:afterSettle", () => {
    days();
    const settle = () => { if (first) list.scrollTop += first.getBoundingClientRect().top - from; };
    settle();
  }, { once: true });
}

function days() {
  const list = bubbles();
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: "long", day: "numeric", month: "long" });
  for (const line of list.querySelectorAll(".day")) line.remove();
  let before = "";
  for (const item of list.querySelectorAll(":scope > li:not(.more)")) {
    const time = item.querySelector("time[datetime]");
    if (!time) continue;
    const date = new Date(time.dateTime), day = date.toDateString();
    if (day !== before) {
      const line = document.createElement("li");
      line.className = "day";
      line.textContent = day === new Date().toDateString() ? new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(0, "day") : format.format(date);
      item.before(line);
    }
    before = day;
  }
  group(list);
}

// Bubbles of one author in a row stand together; a long run of events folds.
const CLOSE_MS = 5 * 60000, MANY = 4;
function group(list) {
  let last = null, run = [];
  const fold = () => {
    if (run.length >= MANY && !run[0].previousElementSibling?.classList.contains("folded")) {
      const line = document.createElement("li"), button = document.createElement("button");
      line.className = "folded";
      button.type = "button";
      button.textContent = list.dataset.events.replace("%s", run.length);
      button.setAttribute("aria-expanded", "false");
      const those = [...run];
      for (const each of those) each.hidden = true;
      button.addEventListener("click", () => {
        const open = button.getAttribute("aria-expanded") !== "true";
        button.setAttribute("aria-expanded", String(open));
        for (const each of those) each.hidden = !open;
      });
      line.append(button);
      run[0].before(line);
    }
    run = [];
  };
  for (const item of list.querySelectorAll(":scope > li")) {
    if (item.classList.contains("event")) { run.push(item); last = null; continue; }
    fold();
    if (!item.classList.contains("bubble")) { last = null; continue; }
    const whose = item.classList.contains("in") ? "in" : `out ${item.querySelector(".who")?.textContent.trim()}`;
    const moment = new Date(item.querySelector("footer time").dateTime);
    item.classList.toggle("again", last !== null && last.whose === whose && moment - last.moment < CLOSE_MS);
    last = { whose, moment };
  }
  fold();
}

// ── what comes in ──

export async function catchUp() {
  if (!talk.id) return;
  if (busy) { again = true; return; }
  busy = true;
  const id = talk.id;
  try {
    const unfinished = [...bubbles().querySelectorAll("[data-unfinished]")].map((each) => each.dataset.message).join(",");
    const answer = await fetch(`${document.body.dataset.mount}c/${id}/since?after=${last}&at=${encodeURIComponent(at)}&unfinished=${unfinished}`, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) return ended();
    if (!answer.ok || id !== talk.id) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const fresh = holder.content.querySelector("#fresh"), standing = holder.content.querySelector("#standing");
    const stay = stuck || atEnd(), list = bubbles();
    let added = 0;
    for (const item of [...fresh.children]) {
      const old = $(item.id);
      if (old) old.replaceWith(item);
      else { list.append(item); added += 1; speak(item); }
    }
    last = fresh.dataset.last;
    at = fresh.dataset.at;
    const now = $("standing");
    document.dispatchEvent(new CustomEvent("prosa:since", { detail: holder.content }));
    if (now.dataset.state !== standing.dataset.state || now.innerHTML !== standing.innerHTML) now.replaceWith(standing);
    tell(list);
    if (added) days();
    if (stay) toEnd();
    else if (added) $("newer").hidden = false;
    window_();
  } catch {
    // The stream says when the connection is back.
  } finally {
    busy = false;
    if (again) { again = false; catchUp(); }
  }
}

// For those who hear the page: what a customer just wrote.
function speak(item) {
  if (!item.classList.contains("in")) return;
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
  const epoch = name === "take" ? { epoch: $("standing").dataset.epoch } : {};
  try {
    const answer = await post(`${document.body.dataset.mount}c/${talk.id}/${name}`, { ...epoch, ...values });
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
