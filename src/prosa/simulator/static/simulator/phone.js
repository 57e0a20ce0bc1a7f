// The phone: which inbox, which customer, their messages, and what happens.

import { answer, complain, compose, draft, takesFiles } from "./composer.js";
import { dayName, draw, gist } from "./bubbles.js";
import * as mischief from "./mischief.js";
import { checked, initials, invent, keyOf, load, pretty, save } from "./people.js";
import { base, el, fill, get, icon, place, post, start, words } from "./server.js";

const $ = (id) => document.getElementById(id);
const FACES = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const TYPING_MS = 25000;

const state = {
  lines: start.lines,
  line: start.lines.find((line) => !line.real) || null,
  people: load(),
  person: null,
  bubbles: new Map(),
  unread: new Map(),
  drafts: new Map(),
  files: new Map(),
  cursor: start.cursor,
};
const threadKey = (line = state.line, person = state.person) => `${line?.ref} ${keyOf(person)}`;
const both = () => ({ line: state.line.ref, customer: JSON.stringify(state.person) });

// ── inboxes and customers ──

function unreadBadge(key) {
  const count = state.unread.get(key)?.size || 0;
  return count ? el("span", { class: "badge", "aria-label": fill(words.unread, count) }, String(count)) : null;
}

function drawSide() {
  const several = new Set(state.lines.map((line) => line.business)).size > 1;
  $("inboxes").replaceChildren(
    ...state.lines.map((line) => {
      const about = line.real ? words.real : several ? line.business : line.number ? pretty({ phone: line.number }) : words[line.kind];
      const button = el(
        "button",
        { type: "button", disabled: line.real, "aria-pressed": String(line.ref === state.line?.ref), onclick: () => go(line, state.person) },
        el("span", { class: "avatar", "aria-hidden": "true" }, initials(line.name)),
        el("span", { class: "text" }, el("strong", {}, line.name), el("small", {}, about)),
        unreadBadge(threadKey(line, state.person)),
      );
      return el("li", { class: "entry" }, button);
    }),
  );
  $("no-inboxes").hidden = state.lines.length > 0;
  $("people").replaceChildren(
    ...state.people.map((person) => {
      const mine = keyOf(person) === keyOf(state.person);
      const button = el(
        "button",
        { type: "button", "aria-pressed": String(mine), onclick: () => go(state.line, person) },
        el("span", { class: "avatar person", "aria-hidden": "true" }, initials(person.name)),
        el("span", { class: "text" }, el("strong", {}, person.name || pretty(person)), el("small", {}, pretty(person))),
        unreadBadge(threadKey(state.line, person)),
      );
      const edit = el("button", { type: "button", class: "icon", "aria-label": `${$("person-title").textContent}: ${person.name}`, onclick: () => editPerson(person) }, icon("pen"));
      return el("li", { class: "entry" }, button, edit);
    }),
  );
}

function editPerson(person) {
  const dialog = $("person");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector(".problem");
  form.elements.name.value = person.name;
  form.phone.value = person.phone ? pretty(person) : "";
  form.username.value = person.username;
  problem.hidden = true;
  const close = () => dialog.close();
  form.onsubmit = (event) => {
    event.preventDefault();
    const { person: changed, problem: reason } = checked(form);
    problem.textContent = reason || "";
    problem.hidden = !reason;
    if (reason) return;
    state.people = state.people.map((each) => (each === person ? changed : each));
    save(state.people);
    close();
    go(state.line, keyOf(state.person) === keyOf(person) ? changed : state.person);
  };
  dialog.querySelector('[value="cancel"]').onclick = close;
  const remove = dialog.querySelector('[value="delete"]');
  remove.hidden = state.people.length < 2;
  remove.onclick = () => {
    state.people = state.people.filter((each) => each !== person);
    save(state.people);
    close();
    go(state.line, state.person === person ? state.people[0] : state.person);
  };
  dialog.showModal();
}

// ── one conversation ──

async function go(line, person) {
  if (state.person) state.drafts.set(threadKey(), draft());
  Object.assign(state, { line, person, bubbles: new Map() });
  state.unread.delete(threadKey());
  sessionStorage.setItem("prosa.simulator.at", JSON.stringify([line?.ref, keyOf(person)]));
  $("side").classList.remove("open");
  draft(state.drafts.get(threadKey()) || "");
  typing(false);
  drawSide();
  $("line-name").textContent = line ? line.business || line.name : "—";
  $("line-avatar").textContent = line ? initials(line.business || line.name) : "";
  about();
  $("composer").inert = !line;
  takesFiles(line?.kind !== "rest");
  $("in-admin").hidden = !line;
  if (!line) return drawThread();
  $("in-admin").href = `${base}conversation/?${new URLSearchParams(both())}`;
  await fetchThread();
}

async function fetchThread() {
  const key = threadKey();
  try {
    const found = await get("api/thread/", both());
    if (key !== threadKey()) return;
    const unsent = [...state.bubbles.values()].filter((bubble) => bubble.status === "failed" || bubble.status === "sending");
    state.bubbles = new Map([...found.bubbles, ...unsent].map((bubble) => [bubble.nonce || bubble.id, bubble]));
    complain("");
  } catch (refused) {
    complain(refused.message);
  }
  drawThread();
  toEnd();
  look();
}

function about() {
  const shown = $("typing").hidden;
  $("line-about").textContent = !state.line ? "" : shown ? state.line.number ? `${pretty({ phone: state.line.number })} · ${words[state.line.kind]}` : words[state.line.kind] : words.typing;
  $("line-about").classList.toggle("live", !shown);
}

let typingEnds = 0;
function typing(on) {
  clearTimeout(typingEnds);
  const follow = atEnd();
  $("typing").hidden = !on;
  if (on) typingEnds = setTimeout(typing, TYPING_MS, false);
  about();
  if (follow) toEnd();
}

const sorted = () => [...state.bubbles.values()].sort((one, other) => one.at - other.at);

function drawThread() {
  const follow = atEnd();
  const shown = sorted();
  const items = [];
  let before = null;
  shown.forEach((bubble) => {
    const newDay = !before || dayName(before.at) !== dayName(bubble.at);
    if (newDay) items.push(el("li", { class: "day" }, dayName(bubble.at)));
    items.push(
      draw(bubble, {
        turn: newDay || before.author !== bubble.author,
        answered: shown.some((each) => ["button", "list"].includes(each.kind) && each.reply_to === bubble.id),
        quoted: shown.find((each) => each.id === bubble.reply_to),
        lineName: state.line.business || state.line.name,
        choose,
        openList,
        again,
        menu,
        jump,
      }),
    );
    before = bubble;
  });
  reconcile($("bubbles"), items);
  $("empty").hidden = shown.length > 0 || !state.line;
  $("greeting").textContent = state.line ? fill(words.greeting, state.line.business || state.line.name) : "";
  if (follow) toEnd();
}

/** Replace only what changed: a playing voice message goes on, and screen readers hear only what is new. Handlers find messages by id. */
function reconcile(list, items) {
  items.forEach((item, index) => {
    const old = list.children[index];
    if (!old) list.append(item);
    else if (!old.isEqualNode(item)) old.replaceWith(item);
  });
  while (list.children.length > items.length) list.lastChild.remove();
}

const scroll = $("scroll");
const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
const toEnd = () => scroll.scrollTo({ top: scroll.scrollHeight });
scroll.addEventListener("scroll", () => ($("down").hidden = atEnd()), { passive: true });
scroll.addEventListener("sized", () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 420 && toEnd());
$("down").addEventListener("click", toEnd);

function jump(id) {
  const found = $("bubbles").querySelector(`[data-id="${CSS.escape(id)}"]`);
  if (!found) return;
  found.scrollIntoView({ block: "center", behavior: "smooth" });
  found.classList.add("flash");
  setTimeout(() => found.classList.remove("flash"), 1300);
}

/** Messages on the screen are read. */
function look() {
  if (!state.line || document.visibilityState !== "visible") return;
  const ids = [...state.bubbles.values()].filter((each) => each.author === "business" && each.received && ["sent", "delivered"].includes(each.status)).map((each) => each.id);
  if (ids.length) post("api/read/", { line: state.line.ref, customer: state.person, ids }).catch(() => {});
}
document.addEventListener("visibilitychange", look);

// ── sending ──

async function say({ kind, text = "", file = null, voice = false, reply_to = "", answered = null }) {
  if (!state.line) return;
  const nonce = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const bubble = { id: nonce, nonce, author: "customer", kind, text, status: "sending", at: Date.now(), reply_to, reactions: {}, answered, voice };
  if (file) {
    state.files.set(nonce, file);
    bubble.file = { local: URL.createObjectURL(file), filename: file.name, size: file.size, kind };
  }
  if (kind !== "reaction") {
    state.bubbles.set(nonce, bubble);
    drawThread();
    toEnd();
  }
  await carry(bubble);
}

async function carry(bubble) {
  const key = threadKey();
  const form = new FormData();
  const fields = { ...both(), nonce: bubble.nonce, kind: bubble.kind, text: bubble.text, reply_to: bubble.reply_to || "", voice: String(Boolean(bubble.voice)) };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  if (bubble.answered) form.set("answered", JSON.stringify(bubble.answered));
  const file = state.files.get(bubble.nonce);
  if (file) form.set("file", file);
  let after;
  try {
    after = (await post("api/send/", form)).bubble;
    if (after.status !== "failed") state.files.delete(bubble.nonce);
  } catch (refused) {
    after = { ...bubble, status: "failed", error: refused.message };
    if (bubble.kind === "reaction") complain(refused.message);
  }
  if (bubble.kind === "reaction" || key !== threadKey()) return;
  const now = state.bubbles.get(bubble.nonce);
  const read = now?.status === "read" && after.status !== "failed"; // the stream may be faster than the answer
  state.bubbles.set(bubble.nonce, { ...after, answered: bubble.answered, ...(read ? { status: "read" } : {}) });
  drawThread();
}

function again(bubble) {
  const known = state.bubbles.get(bubble.nonce) || bubble;
  state.bubbles.set(known.nonce, { ...known, status: "sending", error: "" });
  drawThread();
  carry(known);
}

function choose(bubble, option, kind) {
  say({ kind, text: option.title, reply_to: bubble.id, answered: option });
}

function openList(bubble) {
  const dialog = $("choices");
  dialog.querySelector("h2").textContent = bubble.choices.button || words.choose;
  dialog.querySelector("ul").replaceChildren(
    ...bubble.choices.options.map((option) =>
      el("li", {}, el("button", { type: "button", onclick: () => (dialog.close(), choose(bubble, option, "list")) }, option.title, option.description ? el("small", {}, option.description) : null)),
    ),
  );
  dialog.querySelector('[value="cancel"]').onclick = () => dialog.close();
  dialog.showModal();
}

function menu(bubble, button) {
  const popover = $("actions");
  const done = (act) => () => {
    popover.hidePopover();
    act();
  };
  const current = bubble.reactions?.customer || "";
  const faces = FACES.map((face) =>
    el("button", { type: "button", "aria-label": fill(words.react, face), "aria-pressed": String(face === current), onclick: done(() => say({ kind: "reaction", text: face === current ? "" : face, reply_to: bubble.id })) }, face),
  );
  const quotes = state.line.kind !== "rest";
  popover.replaceChildren(
    ...(quotes && state.line.kind === "whatsapp_cloud" ? [el("div", { class: "faces" }, ...faces)] : []),
    ...(quotes ? [el("button", { type: "button", class: "act", onclick: done(() => answer(bubble, bubble.author === "customer" ? words.you : state.line.business)) }, icon("reply"), words.replyTo)] : []),
    el("button", { type: "button", class: "act", onclick: done(() => navigator.clipboard?.writeText(gist(bubble))) }, icon("copy"), words.copy),
  );
  popover.showPopover();
  place(popover, button);
  popover.querySelector("button").focus();
}

// ── what happens ──

let source = null;

function away(is) {
  $("away").hidden = !is;
  $("away").querySelector("span").textContent = is ? words.away : "";
}

function listen() {
  source?.close();
  source = new EventSource(`${base}api/stream/?after=${encodeURIComponent(state.cursor)}`);
  source.onopen = () => away(false);
  source.onerror = () => {
    away(true);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // an answer that is no stream ends it for good
  };
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      state.cursor = event.lastEventId;
      act(JSON.parse(event.data));
    });
  on("bubble", ({ line, customer, bubble }) => heard(`${line} ${customer.id}`, bubble));
  on("typing", ({ line, customer, on: is }) => `${line} ${customer.id}` === threadKey() && typing(is));
  on("reset", async () => {
    // The server began anew, or we were away for long.
    state.lines = (await get("api/lines/").catch(() => state)).lines;
    const line = state.lines.find((each) => each.ref === state.line?.ref && !each.real) || state.lines.find((each) => !each.real) || null;
    if (line?.ref === state.line?.ref && line) {
      state.line = line;
      drawSide();
      await fetchThread();
    } else await go(line, state.person);
    mischief.refresh();
  });
}

function heard(key, bubble) {
  const here = key === threadKey();
  if (here) {
    const name = bubble.nonce || bubble.id;
    const known = state.bubbles.get(name);
    if (known?.status === "read" && bubble.status !== "failed") bubble.status = "read";
    state.bubbles.set(name, { ...bubble, answered: known?.answered });
    drawThread();
  }
  if (bubble.author === "business" && bubble.received) {
    if (here && document.visibilityState === "visible") look();
    else if (!here && bubble.status !== "read") {
      state.unread.set(key, (state.unread.get(key) || new Set()).add(bubble.id));
      drawSide();
    }
  }
}

// ── the frame ──

function prepare() {
  compose(say, () => post("api/typing/", { line: state.line.ref, customer: state.person }).catch(() => {}));
  mischief.prepare();
  $("suggestions").append(...words.suggestions.map((text) => el("button", { type: "button", onclick: () => say({ kind: "text", text }) }, text)));
  $("add-person").addEventListener("click", () => {
    const person = invent(state.people);
    state.people = [...state.people, person];
    save(state.people);
    go(state.line, person);
  });
  $("open-side").addEventListener("click", () => ($("side").classList.add("open"), $("close-side").focus()));
  $("close-side").addEventListener("click", () => ($("side").classList.remove("open"), $("open-side").focus()));
  document.addEventListener("keydown", (event) => event.key === "Escape" && $("side").classList.remove("open"));
  document.addEventListener("click", (event) => !event.target.closest("#side, #open-side, dialog") && $("side").classList.remove("open"));
  $("retry").addEventListener("click", listen);
  $("language-choice").addEventListener("change", () => $("language").submit());
  $("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    localStorage.setItem("prosa.theme", dark ? "light" : "dark");
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
  const theme = localStorage.getItem("prosa.theme");
  if (theme) document.documentElement.dataset.theme = theme;
  save(state.people);
  let [ref, key] = [null, null];
  try {
    [ref, key] = JSON.parse(sessionStorage.getItem("prosa.simulator.at")) || [];
  } catch {
    // begin with the first
  }
  go(state.lines.find((line) => line.ref === ref && !line.real) || state.line, state.people.find((person) => keyOf(person) === key) || state.people[0]);
  listen();
}

prepare();
