// The list of messages: its pieces come as one nears them and go when they are far away, so that a conversation of thousands
// scrolls like a short one. What is at a `.more` is not here yet: before, or after, the message it names.

import { tell } from "./desk.js";
import { ended } from "./ended.js";

const $ = (id) => document.getElementById(id);
const MOST = 200, LEAST = 140; // lines that are kept, and what is left of more
const AGAIN_MS = 3000;

let list = null, loading = false;
let stuck = true; // is the newest message what is being read?

const end = (side) => list?.querySelector(`:scope > .more[data-${side}]`);
const gap = () => list.scrollHeight - list.scrollTop - list.clientHeight;
export const whole = () => Boolean(list) && !end("after");
export const stays = () => stuck || (whole() && gap() < 80);
const button = () => $("newer");

// ── opening ──

export function open(shown) {
  list = $("bubbles");
  stuck = !shown;
  loading = false;
  unfolded.clear();
  arrange();
  if (shown) point($(shown)); else toEnd();
  button().addEventListener("click", toNewest);
  let top = list.scrollTop, asked = false;
  const mine = list;
  list.addEventListener("scroll", () => {
    if (mine !== list) return;
    // Only going up leaves the end: pictures and the composer grow without anybody having scrolled.
    if (whole() && gap() < 80) { stuck = true; seen(); } else if (list.scrollTop < top - 2) stuck = false;
    top = list.scrollTop;
    if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; if (mine === list) look(); }); }
  }, { passive: true });
  const follow = () => {
    if (mine !== list || !stuck) return;
    if (list.scrollTop < top - 2 && gap() > 2) stuck = false; // gone up, and nothing has said so yet
    else toEnd();
  };
  list.addEventListener("load", follow, true); // a picture has its height only now,
  list.addEventListener("contentvisibilityautostatechange", follow, true); // a bubble when it is drawn,
  new ResizeObserver(follow).observe(list); // and the field below grows while one writes
  look();
}

export function close() { list = null; }

// ── the end ──

export function toEnd() {
  if (!list) return;
  if (!whole()) { toNewest(); return; }
  const mine = list;
  stuck = true;
  list.scrollTop = list.scrollHeight;
  requestAnimationFrame(() => { if (stuck && mine === list) list.scrollTop = list.scrollHeight; }); // heights were estimates until drawn
  seen();
}

async function toNewest() {
  if (whole() || (await replace(""))) toEnd();
}

const label = () => button().querySelector("span");
function seen() {
  button().hidden = true;
  label().textContent = label().dataset.jump ??= label().textContent;
}
export function unseen() {
  label().dataset.jump ??= label().textContent;
  label().textContent = label().dataset.new;
  button().hidden = false;
}

// ── pieces ──

function look() {
  if (!list || loading) return;
  if (!stuck && (!whole() || gap() > 2 * list.clientHeight)) button().hidden = false;
  const before = end("before"), after = end("after"), near = 1.5 * list.clientHeight;
  if (before && list.scrollTop < near) add(before, `?before=${before.dataset.before}`);
  else if (after && gap() < near) add(after, `?after=${after.dataset.after}`);
}

async function piece(asked) {
  const answer = await fetch(list.dataset.stretch + asked, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (answer?.status === 401) ended();
  if (!answer?.ok) return null;
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  return [...holder.content.children];
}

async function add(more, asked) {
  const mine = list;
  loading = true;
  const lines = await piece(asked);
  if (mine !== list) return;
  loading = false;
  if (!lines) { setTimeout(look, AGAIN_MS); return; }
  if (!more.isConnected) return;
  stuck = false;
  stand(() => {
    more.replaceWith(...lines.filter((line) => !line.id || !$(line.id)));
    letGo(asked.startsWith("?before") ? "after" : "before");
    arrange();
  });
  if (whole()) document.dispatchEvent(new Event("prosa:whole"));
  look();
}

async function replace(asked) {
  const mine = list, lines = await piece(asked);
  if (!lines || mine !== list) return false;
  list.replaceChildren(...lines);
  arrange();
  if (whole()) document.dispatchEvent(new Event("prosa:whole"));
  return true;
}

// Changes the list without what is read moving.
function stand(change) {
  const top = list.getBoundingClientRect().top;
  const read = [...list.querySelectorAll(":scope > :is(.bubble, .note, .event):not([hidden])")].find((line) => line.getBoundingClientRect().bottom > top);
  const from = read?.getBoundingClientRect().top;
  change();
  if (read?.isConnected) list.scrollTop += read.getBoundingClientRect().top - from;
}

const plays = (line) => [...line.querySelectorAll("audio, video")].some((each) => !each.paused && !each.ended);
function used(line) {
  const chosen = getSelection();
  return plays(line) || (!chosen.isCollapsed && chosen.containsNode(line, true));
}

// Lets go of what is farthest on one side, up to what is being used. The last to stay is a message: the piece begins beside it.
function letGo(side) {
  const lines = [...list.querySelectorAll(":scope > :is(.bubble, .note, .event)")];
  if (lines.length <= MOST) return;
  let gone = side === "after" ? lines.slice(LEAST).reverse() : lines.slice(0, -LEAST);
  const kept = gone.findIndex(used);
  if (kept >= 0) gone = gone.slice(0, kept);
  while (gone.length && !gone.at(-1).dataset.message) gone.pop();
  const edge = gone.pop();
  if (!gone.length) return;
  const more = end(side) ?? list.querySelector(":scope > .more")?.cloneNode(true) ?? document.createElement("li");
  more.className = "more";
  delete more.dataset.before;
  delete more.dataset.after;
  more.dataset[side] = edge.dataset.message;
  if (gone.some((line) => line.contains(document.activeElement))) list.focus({ preventScroll: true });
  for (const line of gone) line.remove();
  if (side === "after") edge.after(more); else edge.before(more);
}

// What came in stands at the end of a list that has one; what of older lines changed takes their place.
export function take(lines, last, came) {
  let added = 0;
  for (const line of lines) {
    const old = $(line.id);
    if (old) { if (!plays(old)) old.replaceWith(line); continue; }
    if (Number(line.dataset.message ?? Infinity) <= last) continue; // of a piece that is not here
    added += 1;
    if (whole()) list.append(line);
    came(line);
  }
  tell(list);
  if (!added || !whole()) return added;
  if (stuck) letGo("before");
  arrange();
  return added;
}

// ── one message ──

export async function show(message) {
  const mine = list, key = `m${message}`;
  stuck = false;
  if (!$(key)) await replace(`?around=${message}`);
  if (mine === list) point($(key));
}

function point(line) {
  if (!line) return;
  stuck = false;
  for (const each of list.querySelectorAll(".found")) each.classList.remove("found");
  line.classList.add("found");
  line.tabIndex = -1;
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "center" });
  let rounds = 3; // heights were estimates until drawn
  const again = () => { if (!stuck && line.isConnected) { line.scrollIntoView({ block: "center" }); if ((rounds -= 1)) requestAnimationFrame(again); else look(); } };
  requestAnimationFrame(again);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#bubbles a[data-to]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.dataset.to);
});

// ── days, and lines that stand together ──

const language = document.documentElement.lang || "en";
const date = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const today = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const CLOSE_MS = 5 * 60000, MANY = 4;
const unfolded = new Set();

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

export function arrange() {
  for (const line of list.querySelectorAll(":scope > :is(.day, .folded)")) line.remove();
  const now = new Date().toDateString();
  let day = "", before = null, run = [];
  const fold = () => { if (run.length >= MANY) foldUp(run); run = []; };
  for (const line of list.querySelectorAll(":scope > li:not(.more)")) {
    const time = line.querySelector("time[datetime]");
    if (!time) continue;
    const moment = new Date(time.dateTime), its = moment.toDateString();
    if (its !== day) {
      fold();
      before = null;
      line.before(element("li", "day", its === now ? today.format(0, "day") : date.format(moment)));
      day = its;
    }
    if (line.classList.contains("event")) { line.hidden = false; run.push(line); before = null; continue; }
    fold();
    if (!line.classList.contains("bubble")) { before = null; continue; }
    // Bubbles of one author in a row stand together.
    const whose = line.classList.contains("in") ? "in" : `out ${line.querySelector(".who")?.textContent.trim()}`;
    line.classList.toggle("again", before !== null && before.whose === whose && moment - before.moment < CLOSE_MS);
    before = { whose, moment };
  }
  fold();
  tell(list);
}

// A long run of events folds.
function foldUp(events) {
  const line = element("li", "folded"), opener = element("button", "", list.dataset.events.replace("%s", events.length));
  const set = (on) => { opener.setAttribute("aria-expanded", String(on)); for (const each of events) each.hidden = !on; };
  opener.type = "button";
  opener.addEventListener("click", () => {
    const on = opener.getAttribute("aria-expanded") !== "true";
    for (const each of events) unfolded[on ? "add" : "delete"](each.id);
    set(on);
  });
  set(events.some((each) => unfolded.has(each.id)));
  line.append(opener);
  events[0].before(line);
}
