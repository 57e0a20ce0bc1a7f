// The desk: the list, what the event stream says, and the keys. The conversation's own things are in talk.js.

import { catchUp, closeContact, focusComposer, leave, move, openContact, settle, talk } from "./talk.js";

const $ = (id) => document.getElementById(id);
const body = document.body;
const rows = $("rows");
const member = body.dataset.member;
const queue = body.dataset.queue;

// ── times ──

const language = document.documentElement.lang || "en";
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const dayAndMonth = new Intl.DateTimeFormat(language, { day: "2-digit", month: "2-digit" });
const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" });

function age(since) {
  const minutes = Math.max(0, Math.floor((Date.now() - since) / 60000));
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${Math.floor(minutes / 1440)} d`;
}

export function tell(root = document) {
  for (const time of root.querySelectorAll("time[data-clock]:empty, time[data-ago], time[data-age]")) {
    const at = new Date(time.dateTime);
    time.title = full.format(at);
    if ("age" in time.dataset) time.textContent = age(at);
    else if ("clock" in time.dataset) time.textContent = clock.format(at);
    else time.textContent = at.toDateString() === new Date().toDateString() ? clock.format(at) : dayAndMonth.format(at);
  }
}
setInterval(() => tell(rows), 30000);

// ── the list ──

function belongs(row) {
  const { state, assignee, team, snoozed } = row.dataset;
  const withPeople = state === "awaiting_agent" || state === "agent_active";
  switch (queue) {
    case "waiting": return state === "awaiting_agent";
    case "mine": return withPeople && assignee === member && !snoozed;
    case "team": return withPeople && myTeams.has(team);
    case "people": return state === "agent_active" && !snoozed;
    case "snoozed": return withPeople && Boolean(snoozed);
    case "bot": return state === "bot";
    case "resolved": return state === "resolved";
    default: return true;
  }
}
const myTeams = new Set((body.dataset.teams || "").split(" ").filter(Boolean));

function place(row) {
  // Waiting begins with the oldest; everything else with the newest.
  const key = (each) => (queue === "waiting" ? each.dataset.stateAt : each.dataset.at);
  const others = [...rows.querySelectorAll(".row")].filter((each) => each !== row);
  const before = others.find((each) => (queue === "waiting" ? key(each) > key(row) : key(each) < key(row)));
  const last = rows.querySelector(".more");
  if (before) before.before(row);
  else if (last) row.remove(); // it is on a page that is not here yet
  else rows.append(row);
}

function put(event) {
  const old = $(`row-${event.id}`);
  const holder = document.createElement("template");
  holder.innerHTML = event.html;
  const row = holder.content.firstElementChild;
  const open = talk.id === event.id;
  if (open || (old && !("unread" in old.dataset) && !("unread" in row.dataset))) delete row.dataset.unread;
  if (open) row.querySelector("a").setAttribute("aria-current", "true");
  const focused = old?.contains(document.activeElement);
  old?.remove();
  if (!belongs(row)) return;
  rows.querySelector(".empty")?.remove();
  place(row);
  if (!row.isConnected) return;
  window.htmx?.process(row);
  tell(row);
  if (focused) row.querySelector("a").focus();
}

function mark() {
  for (const link of rows.querySelectorAll("a[aria-current]")) link.removeAttribute("aria-current");
  const row = talk.id && $(`row-${talk.id}`);
  if (row) {
    row.querySelector("a").setAttribute("aria-current", "true");
    delete row.dataset.unread;
  }
}

let waiting = null;
async function count() {
  const answer = await fetch(body.dataset.counts, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return;
  const counts = await answer.json();
  for (const place of document.querySelectorAll("[data-count]")) place.textContent = counts[place.dataset.count] || "";
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (counts.waiting) document.title = `(${counts.waiting}) ${document.title}`;
  if (waiting !== null && counts.waiting > waiting) document.dispatchEvent(new CustomEvent("prosa:waiting", { detail: counts }));
  waiting = counts.waiting;
}
let counting = 0;
function countSoon() {
  if (!counting) counting = setTimeout(() => { counting = 0; count(); }, 700);
}

async function reload() {
  const answer = await fetch(`${body.dataset.list}${location.search || `?queue=${queue}`}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer) return;
  if (answer.status === 401) return location.reload();
  if (!answer.ok) return;
  const scroll = rows.scrollTop;
  rows.innerHTML = await answer.text();
  window.htmx?.process(rows);
  rows.scrollTop = scroll;
  tell(rows);
  mark();
}

// ── the stream ──

const lost = $("lost");
let first = true;
function listen() {
  const stream = new EventSource(body.dataset.stream);
  stream.addEventListener("open", () => { lost.hidden = true; });
  stream.addEventListener("row", (message) => {
    const event = JSON.parse(message.data);
    const before = $(`row-${event.id}`)?.dataset.state;
    put(event);
    if (before !== event.state) countSoon();
    if (event.id === talk.id) catchUp(event);
  });
  stream.addEventListener("refresh", () => {
    if (!first) {
      reload();
      catchUp();
    }
    first = false;
    count();
  });
  stream.addEventListener("error", () => {
    lost.hidden = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}
listen();

// A laptop that slept finds a connection that is dead without having said so.
let awake = Date.now();
setInterval(() => {
  if (Date.now() - awake > 45000) { reload(); catchUp(); count(); }
  awake = Date.now();
}, 10000);
addEventListener("online", () => { reload(); catchUp(); });

// ── going from one to the next ──

document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.target.id === "talk") leave(); });
document.addEventListener("htmx:afterSwap", (event) => {
  tell(event.detail.target);
  if (event.detail.target.id !== "talk") return;
  body.classList.add("talking");
  settle();
  mark();
});
document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status === 401) location.reload(); });
addEventListener("popstate", () => location.reload());

function step(by) {
  const links = [...rows.querySelectorAll(".row > a")];
  const here = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[here < 0 ? 0 : Math.min(links.length - 1, Math.max(0, here + by))];
  next?.scrollIntoView({ block: "nearest" });
  next?.click();
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  t: () => move("take"),
  b: () => move("give-back"),
  e: () => move("resolve"),
  r: () => focusComposer("reply"),
  n: () => focusComposer("note"),
  i: () => ($("contact")?.classList.contains("shown") ? closeContact() : openContact()),
  "?": () => $("key-sheet").showModal(),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("key-sheet").open) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else if (body.classList.contains("talking")) document.querySelector(".thread .back")?.click();
    return;
  }
  if (typing || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

$("keys").addEventListener("click", () => $("key-sheet").showModal());
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("prosa-theme", document.documentElement.dataset.theme);
});

tell();
settle();
mark();
