// The desk: the list, what the event stream says, and the keys. The conversation's own things are in talk.js.

import "./again.js";
import { ring } from "./bell.js";
import "./case.js";
import { ended } from "./ended.js";
import { attend, look, looking, tab } from "./looking.js";
import { listen } from "./stream.js";
import { hear } from "./keys.js";
import { catchUp, customerTypes, leave, refreshContact, settle, talk } from "./talk.js";

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

const searching = () => Boolean(new URLSearchParams(listed).get("q"));
// What the list shows, also while the address is a conversation's. "at" is the conversation's own: the message it was opened at.
let listed = without(location.search, "at");
function without(search, name) {
  const values = new URLSearchParams(search);
  values.delete(name);
  return values.size ? `?${values}` : "";
}

function belongs(row, was) {
  // What a search found only the server knows: rows change where they stand, nothing comes or goes.
  if (searching()) return was;
  const { state, assignee, team, snoozed, inbox, labels } = row.dataset;
  const wanted = new URLSearchParams(listed);
  for (const [name, has] of [["inbox", [inbox]], ["assignee", [assignee]], ["team", [team]], ["label", labels.split(" ")]]) {
    if (/^\d+$/.test(wanted.get(name) ?? "") && !has.includes(wanted.get(name))) return false;
  }
  const withPeople = state === "awaiting_agent" || state === "agent_active";
  switch (queue) {
    case "waiting": return state === "awaiting_agent";
    case "mine": return withPeople && assignee === member && !snoozed;
    case "team": return withPeople && myTeams.has(team);
    case "people": return state === "agent_active" && !snoozed;
    case "snoozed": return withPeople && Boolean(snoozed);
    case "questions": return Boolean(row.dataset.asked);
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

const read = new Map(); // up to which message I have read a conversation, here or at another desk of mine
let late = null; // what came while the list was asked for anew

function readUpTo({ id, upto }) {
  read.set(id, Math.max(upto, read.get(id) ?? 0));
  const row = $(`row-${id}`);
  if (row && Number(row.dataset.inbound) <= upto) delete row.dataset.unread;
}

function put(event) {
  late?.push(event);
  const old = $(`row-${event.id}`);
  const holder = document.createElement("template");
  holder.innerHTML = event.html;
  const row = holder.content.firstElementChild;
  const open = talk.id === event.id;
  if (!(open && document.visibilityState === "visible") && event.inbound > Math.max(event.read[member] ?? 0, read.get(event.id) ?? 0)) row.dataset.unread = "";
  if (open) row.querySelector("a").setAttribute("aria-current", "true");
  const focused = old?.contains(document.activeElement);
  if (!belongs(row, Boolean(old))) {
    old?.remove();
    if (!rows.querySelector(".row, .more, .empty")) rows.append($("empty").content.cloneNode(true));
    return;
  }
  rows.querySelector(".empty")?.remove();
  if (old && searching()) {
    const hit = old.querySelector(".hit");
    if (hit) {
      row.querySelector(".said").replaceWith(hit);
      for (const name of ["href", "hx-get"]) row.querySelector("a").setAttribute(name, old.querySelector("a").getAttribute(name));
    }
    old.replaceWith(row);
  } else {
    old?.remove();
    place(row);
  }
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

async function count() {
  const answer = await fetch(body.dataset.counts, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (answer?.status === 401) { ended(); return false; }
  if (!answer?.ok) return true;
  const counts = await answer.json();
  for (const place of document.querySelectorAll("[data-count]")) place.textContent = counts[place.dataset.count] || "";
  $("questions").hidden = !counts.questions || queue === "questions";
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (counts.waiting) document.title = `(${counts.waiting}) ${document.title}`;
  return true;
}
let counting = 0;
function countSoon() {
  if (!counting) counting = setTimeout(() => { counting = 0; count(); }, 700);
}

async function reload() {
  const asked = listed, missed = (late = []);
  const answer = await fetch(`${body.dataset.list}${asked || `?queue=${queue}`}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  const text = answer?.ok ? await answer.text() : "";
  if (late === missed) late = null;
  if (answer?.status === 401) return ended();
  if (!answer?.ok || asked !== listed) return;
  const scroll = rows.scrollTop;
  rows.innerHTML = text;
  window.htmx?.process(rows);
  for (const event of missed) put(event);
  rows.scrollTop = scroll;
  tell(rows);
  mark();
}

// ── the stream ──

const missed = () => Promise.all([reload(), catchUp(), count(), look(true)]);
const POLL_MS = 15000;
if (body.dataset.stream) {
  listen((first) => `${body.dataset.stream}?tab=${tab}${first ? `&at=${body.dataset.at}` : ""}`, {
    row(event) {
      const before = $(`row-${event.id}`)?.dataset;
      put(event);
      if (before?.state !== event.state || Boolean(before.asked) !== event.html.includes(" data-asked=")) countSoon();
      ring(event, before);
      if (event.id === talk.id) {
        catchUp(event);
        refreshContact(event);
      }
    },
    read: readUpTo,
    looking,
    types: (event) => customerTypes(event.id),
    ready: count,
    refresh: missed,
  }, count); // asking for the numbers says whether it is the session that ended
} else {
  // A server that holds no streams: the page asks now and then.
  count();
  setInterval(missed, POLL_MS);
}

// What came while the page was in the background is read now.
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") catchUp(); });

// ── going from one to the next ──

document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.target.id === "talk") leave(); });
document.addEventListener("htmx:afterSwap", (event) => {
  tell(event.detail.target);
  if (event.detail.target.id !== "talk") return;
  body.classList.add("talking");
  settle();
  mark();
  look();
});
document.addEventListener("htmx:beforeOnLoad", (event) => { if (event.detail.xhr.status === 401) { event.preventDefault(); ended(); } });
// The queue, its filters and the search stay in the address when a conversation is opened.
document.addEventListener("htmx:pushedIntoHistory", () => {
  const at = new URLSearchParams(location.search).get("at"), kept = new URLSearchParams(listed);
  if (at) kept.set("at", at);
  if (kept.size) history.replaceState(history.state, "", `${location.pathname}?${kept}`);
});
addEventListener("popstate", () => location.reload());

function step(by) {
  const links = [...rows.querySelectorAll(".row > a")];
  const here = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[here < 0 ? 0 : Math.min(links.length - 1, Math.max(0, here + by))];
  next?.scrollIntoView({ block: "nearest" });
  next?.click();
}

// ── searching, and panels that open ──

let seeking = 0;
function seek() {
  const values = new URLSearchParams(new FormData($("finder")));
  for (const [name, value] of [...values]) if (!value) values.delete(name);
  listed = `?${values}`;
  history.replaceState(history.state, "", location.pathname + listed);
  rows.scrollTop = 0;
  reload();
}
$("q").addEventListener("input", () => { clearTimeout(seeking); seeking = setTimeout(seek, 250); });
$("finder").addEventListener("submit", (event) => {
  const values = new URLSearchParams(new FormData(event.target));
  for (const [name, value] of [...values]) if (!value) values.delete(name);
  event.preventDefault();
  location.assign(`${location.pathname}?${values}`);
});
document.addEventListener("click", (event) => {
  for (const panel of document.querySelectorAll("details.pop[open]")) if (!panel.contains(event.target)) panel.open = false;
  const picture = event.target.closest?.("a.picture");
  if (picture && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    const shown = $("lightbox").querySelector("img");
    shown.src = picture.href;
    shown.alt = picture.querySelector("img").alt;
    $("lightbox").showModal();
  } else if (event.target.id === "lightbox" || event.target.parentElement?.id === "lightbox") $("lightbox").close();
});

hear({ next: () => step(1), previous: () => step(-1) });

$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("prosa-theme", document.documentElement.dataset.theme);
});

tell();
settle();
mark();
attend(() => talk.id);
look();
