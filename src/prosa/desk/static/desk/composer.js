// What a person writes: the field and its draft, canned replies, the message answered to, and sending.
// Files are in enclosures.js, the assistant's help in assist.js, templates and later sending in later.js.

import { appear } from "./assist.js";
import { drop, files, leaveFiles, remove, stopRecording } from "./enclosures.js";
import { chooseTemplate, when } from "./later.js";
import { toEnd } from "./messages.js";
import { catchUp, post, refuse, talk } from "./talk.js";

const $ = (id) => document.getElementById(id);

let writing = null; // what is written in the conversation that is open

// ── opening and leaving ──

export function attend() {
  const form = $("composer");
  writing = form ? { id: talk.id, form, field: $("text"), kept: $("text").value, saved: $("text").value, keptAt: 0, keeping: null, timer: 0, quote: "", sending: false, pressed: null } : null;
  if (!writing) return;
  restore(writing);
  grow(writing.field);
  appear($("offer"));
  when();
  if (!$("bubbles").closest("[data-shown]") && matchMedia("(min-width: 60rem)").matches) writing.field.focus({ preventScroll: true });
}

export function forsake() {
  if (!writing) return;
  clearTimeout(writing.timer);
  if (writing.field.value !== writing.kept) keep(writing);
  stopRecording();
  leaveFiles();
  writing = null;
}

// ── the field ──

export const isNote = () => Boolean(writing?.form.classList.contains("as-note"));
export const words = () => writing?.field.value ?? "";
const closed = () => "closed" in ($("standing")?.dataset ?? {});

export function focusComposer(mode) {
  if (!writing) return;
  const { form, field } = writing;
  const changed = isNote() !== (mode === "note");
  form.classList.toggle("as-note", mode === "note");
  for (const button of form.querySelectorAll(".mode")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  field.dataset.replyPlaceholder ||= field.placeholder;
  field.placeholder = mode === "note" ? field.dataset.notePlaceholder : field.dataset.replyPlaceholder;
  if (changed && field.value) keep(writing);
  field.focus();
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, 200)}px`;
}

// Puts a text into the field as if it had been typed; `whole` replaces what is there.
export function put(text, whole = true) {
  if (!writing) return;
  const { field } = writing;
  if (whole) field.value = text;
  else field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  grow(field);
  field.focus();
  if (whole) field.setSelectionRange(text.length, text.length);
  keepSoon(writing);
}

// ── drafts ──

function draftOf(w) {
  const values = new FormData();
  values.set("text", w.field.value);
  if (w.form.classList.contains("as-note")) values.set("note", "1");
  return values;
}

function keep(w) {
  clearTimeout(w.timer);
  w.keptAt = Date.now();
  w.keeping = save(w);
}

async function save(w) {
  const before = w.kept, text = w.field.value;
  w.kept = text;
  const answer = await post(w.form.dataset.draft, draftOf(w)).catch(() => null);
  if (answer?.ok) {
    w.saved = text;
    if (w.field.value === text) sessionStorage.removeItem(leftKey(w));
    return;
  }
  w.kept = before; // the next key tries again
  if (w !== writing) leaveText(w);
}

// Saved in a pause, and every few seconds while keys come: colleagues see that somebody writes for twice as long.
const PAUSE_MS = 1200, WRITES_MS = 4000;
function keepSoon(w) {
  clearTimeout(w.timer);
  if (!w.kept !== !w.field.value) keep(w);
  else w.timer = setTimeout(() => keep(w), Math.max(0, Math.min(PAUSE_MS, w.keptAt + WRITES_MS - Date.now())));
}

// A page that is reloaded asks for itself before its last words have arrived, and where the session ended they never do: they wait
// in the tab, for the same person only, until they are saved or sent.
const LEFT_MS = 12 * 3600000;
const leftKey = (w) => `prosa-left-${document.body.dataset.member}-${w.id}`;
function leaveText(w) {
  sessionStorage.setItem(leftKey(w), JSON.stringify({ text: w.field.value, base: w.saved, at: Date.now() }));
}
function restore(w) {
  const left = JSON.parse(sessionStorage.getItem(leftKey(w)) ?? "null"), draft = w.field.value;
  if (!left || Date.now() - left.at > LEFT_MS || draft === left.text) { sessionStorage.removeItem(leftKey(w)); return; }
  if (!draft || draft === left.base || left.text.startsWith(draft)) w.field.value = left.text;
  else if (!draft.startsWith(left.text)) w.field.value = `${draft}\n\n${left.text}`; // something else was begun elsewhere meanwhile
  keepSoon(w);
}
addEventListener("pageshow", (event) => { if (event.persisted && writing) sessionStorage.removeItem(leftKey(writing)); });
addEventListener("pagehide", () => {
  if (!writing || writing.field.value === writing.saved || writing.sending) return;
  leaveText(writing);
  const headers = { "X-CSRFToken": document.body.dataset.csrf, "HX-Request": "true" };
  fetch(writing.form.dataset.draft, { method: "POST", body: draftOf(writing), headers, keepalive: true }).catch(() => {});
});

let returning = false;
addEventListener("focus", () => { if (writing) { returning = true; catchUp(); } });

document.addEventListener("prosa:since", (event) => {
  const fresh = event.detail;
  if (!writing) return;
  const planned = fresh.querySelector("#since-scheduled"), offered = fresh.querySelector("#since-offer");
  if (planned && $("scheduled").innerHTML !== planned.innerHTML) { $("scheduled").replaceChildren(...planned.childNodes); when(); }
  if (offered) appear($("offer"), offered);
  // Another tab of the same person writes, or has sent: this one follows while nobody writes here.
  const draft = fresh.querySelector("#since-draft")?.dataset.text;
  const { field } = writing;
  const away = returning || !document.hasFocus();
  returning = false;
  if (draft === undefined || !away || writing.sending || field.value !== writing.kept || field.value === draft) return;
  field.value = draft;
  writing.kept = writing.saved = draft;
  grow(field);
});

document.addEventListener("input", (event) => {
  if (!writing || event.target !== writing.field) return;
  grow(writing.field);
  canned(writing.field);
  keepSoon(writing);
});

// ── answering to one message ──

function quote(button) {
  if (!writing) return;
  const bubble = button.closest(".bubble"), place = $("quoting");
  const who = bubble.classList.contains("in") ? document.querySelector(".thread h2")?.textContent : bubble.querySelector(".who")?.firstChild?.textContent;
  const name = document.createElement("b");
  name.textContent = (who ?? "").trim() || bubble.querySelector(".who")?.textContent.trim() || "";
  const said = bubble.querySelector(".text")?.textContent.trim() || bubble.querySelector("img")?.alt || bubble.querySelector(".document span")?.textContent || "…";
  place.querySelector("blockquote").replaceChildren(name, ` ${said.slice(0, 160)}`);
  place.hidden = false;
  writing.quote = button.dataset.quote;
  focusComposer("reply");
}

function unquote(w) {
  w.quote = "";
  if (w === writing) $("quoting").hidden = true;
}

// ── sending ──

function pressing() { return crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`; }

// What was not answered may have arrived: the same words pressed again carry the same key.
function key(w, text) {
  if (w.pressed?.text !== text || w.pressed.quote !== w.quote) w.pressed = { text, quote: w.quote, key: pressing() };
  return w.pressed.key;
}

async function send() {
  const w = writing;
  if (!w || w.sending) return;
  const note = isNote(), text = w.field.value, enclosed = note ? [] : [...files()];
  if (!text.trim() && !enclosed.length) return;
  if (!note && closed()) { chooseTemplate(); return; }
  w.sending = true;
  w.form.setAttribute("aria-busy", "true");
  clearTimeout(w.timer);
  try {
    await w.keeping; // arriving after the message, it would bring the draft back
    for (const [index, file] of (enclosed.length ? enclosed : [null]).entries()) {
      const values = new FormData();
      values.set("text", index === 0 ? text : "");
      // After the first piece the conversation is ours, and its number another.
      if (index === 0) { values.set("epoch", $("standing").dataset.epoch); if (!note && w.quote) values.set("quote", w.quote); }
      if (file) { values.set("file", file, file.name); file.prosaKey ||= pressing(); values.set("key", file.prosaKey); if (file.voice) values.set("voice", "1"); }
      else values.set("key", key(w, text));
      const answer = await post(note ? w.form.dataset.note : w.form.action, values);
      if (!answer.ok) { w.pressed = null; if (w === writing) { refuse(await answer.text()); await catchUp(); } return; }
      w.pressed = null;
      if (file) remove(file);
      if (index === 0) sent(w, text);
      if (w === writing) await catchUp();
    }
    if (w === writing) toEnd();
  } catch {
    if (w === writing) refuse(`<p class="problem">${$("lost").textContent}</p>`);
  } finally {
    w.sending = false;
    w.form.removeAttribute("aria-busy");
  }
}

function sent(w, text) {
  // What was typed while it was being sent stays.
  w.field.value = w.field.value.startsWith(text) ? w.field.value.slice(text.length).trimStart() : w.field.value;
  w.kept = w.saved = "";
  sessionStorage.removeItem(leftKey(w));
  unquote(w);
  if (w !== writing) return;
  $("rewritten").hidden = true;
  grow(w.field);
  if (w.field.value) keepSoon(w);
}

export function clear() { if (writing) { sent(writing, writing.field.value); } }

document.addEventListener("submit", (event) => {
  if (event.target.id !== "composer") return;
  event.preventDefault();
  send();
});

document.addEventListener("keydown", (event) => {
  if (event.target.id !== "text" || event.isComposing) return;
  if (choosing(event)) return;
  if (event.key === "Escape" && writing?.quote) { unquote(writing); event.stopPropagation(); return; }
  if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
    event.preventDefault();
    send();
  }
});

// ── canned replies ──

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const shownCanned = () => [...$("canned").children].filter((item) => !item.hidden);

// The shortcut that ends where the cursor stands: [from, word], or null.
function asked(field) {
  const before = field.value.slice(0, field.selectionStart), found = /(?:^|\s)\/([\p{L}\p{N}_-]*)$/u.exec(before);
  return found ? [before.length - found[1].length - 1, plain(found[1])] : null;
}

function canned(field) {
  const list = $("canned"), found = asked(field);
  for (const item of list.children) item.hidden = !found || !(plain(item.dataset.shortcut).includes(found[1]) || (found[1].length > 1 && plain(item.dataset.text).includes(found[1])));
  const shown = shownCanned();
  list.hidden = !shown.length;
  $("canned-count").textContent = shown.length ? `${writing.form.dataset.found} ${shown.length}` : "";
  mark(shown[0]);
}

function mark(item) {
  for (const each of $("canned").children) each.setAttribute("aria-selected", String(each === item));
  if (item) { $("text").setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
  else $("text").removeAttribute("aria-activedescendant");
}

function hideCanned() { $("canned").hidden = true; $("canned-count").textContent = ""; mark(null); }

function insert(item) {
  const field = $("text"), found = asked(field);
  field.setSelectionRange(found ? found[0] : field.selectionStart, field.selectionStart);
  hideCanned();
  put(item.dataset.text, false);
}

function choosing(event) {
  const list = $("canned");
  if (!list || list.hidden) return false;
  const shown = shownCanned(), here = shown.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const step = { ArrowDown: 1, ArrowUp: shown.length - 1 }[event.key];
  if (event.key === "Escape") { hideCanned(); event.stopPropagation(); }
  else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) { event.preventDefault(); insert(shown[Math.max(0, here)]); }
  else if (step) { event.preventDefault(); mark(shown[(Math.max(0, here) + step) % shown.length]); }
  else return false;
  return true;
}

document.addEventListener("mousedown", (event) => {
  const item = event.target.closest?.("#canned li");
  if (item) { event.preventDefault(); insert(item); }
});
document.addEventListener("focusout", (event) => { if (event.target.id === "text" && $("canned")) hideCanned(); });

// ── buttons ──

// A panel above the field, opened and closed by its button.
export function toggle(button, panel, open = panel.hidden) {
  panel.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
  if (!open && panel.contains(document.activeElement)) button.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  for (const opener of document.querySelectorAll("#composer [aria-expanded='true']")) {
    const panel = $(opener.getAttribute("aria-controls"));
    if (button !== opener && !panel.contains(event.target)) toggle(opener, panel, false);
  }
  if (!button || !talk.id) return;
  if (button.dataset.quote) quote(button);
  else if (button.id === "unquote") { unquote(writing); writing.field.focus(); }
  else if (button.id === "attach") $("file").click();
  else if (button.id === "emoji") emojis(button);
});
document.addEventListener("keydown", (event) => {
  const panel = event.target.closest?.("#composer .tray");
  if (event.key !== "Escape" || !panel) return;
  toggle(document.querySelector(`[aria-controls="${panel.id}"]`), panel, false);
  event.stopPropagation();
}, true);

async function emojis(button) {
  const panel = $("emojis");
  toggle(button, panel);
  if (panel.hidden) return;
  const { draw } = await import("./emoji.js");
  draw(panel, (sign) => put(sign, false));
}

document.addEventListener("paste", (event) => { if (event.target.id === "text") drop(event, event.clipboardData); });
