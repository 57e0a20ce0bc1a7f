// The conversation that is open: what comes in, what is written, who has it.

import { tell } from "./desk.js";

const $ = (id) => document.getElementById(id);
const csrf = document.body.dataset.csrf;
export const talk = { id: 0 };

let last = "0", at = "", busy = false, again = false;
let typing = 0, kept = "", recorder = null;
const queued = [];

const bubbles = () => $("bubbles");
const atEnd = () => { const list = bubbles(); return !list || list.scrollHeight - list.scrollTop - list.clientHeight < 80; };
function toEnd() { const list = bubbles(); if (list) list.scrollTop = list.scrollHeight; const more = $("newer"); if (more) more.hidden = true; }

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
  bubbles().addEventListener("scroll", () => { if (atEnd()) $("newer").hidden = true; });
  bubbles().addEventListener("htmx:beforeSwap", hold);
  $("show-contact").addEventListener("click", openContact);
  $("hide-contact")?.addEventListener("click", closeContact);
  for (const select of document.querySelectorAll("select[data-move]")) {
    select.addEventListener("change", () => move(select.dataset.move, select.dataset.move === "assign" ? { to: select.value } : { until: select.value }));
  }
  const field = $("text");
  if (field) {
    kept = field.value;
    grow(field);
    if (matchMedia("(min-width: 60rem)").matches) field.focus({ preventScroll: true });
  }
}

export function leave() {
  const field = $("text");
  if (field && field.value !== kept) keep(field);
  recorder?.stop();
  queued.length = 0;
  talk.id = 0;
}

// Older messages are put above without what is read moving.
function hold(event) {
  const list = bubbles();
  if (!event.target.classList?.contains("more")) return;
  const from = list.scrollHeight - list.scrollTop;
  list.addEventListener("htmx:afterSettle", () => { list.scrollTop = list.scrollHeight - from; days(); }, { once: true });
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
}

// ── what comes in ──

export async function catchUp() {
  if (!talk.id) return;
  if (busy) { again = true; return; }
  busy = true;
  const id = talk.id;
  try {
    const answer = await fetch(`/agent/c/${id}/since?after=${last}&at=${encodeURIComponent(at)}`, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok || id !== talk.id) return;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const fresh = holder.content.querySelector("#fresh"), standing = holder.content.querySelector("#standing");
    const stay = atEnd(), list = bubbles();
    let added = 0;
    for (const item of [...fresh.children]) {
      const old = $(item.id);
      if (old) old.replaceWith(item);
      else { list.append(item); added += 1; }
    }
    last = fresh.dataset.last;
    at = fresh.dataset.at;
    const now = $("standing");
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

function window_() {
  const line = document.querySelector(".window[data-until]");
  if (!line) return;
  const left = (new Date(line.dataset.until) - Date.now()) / 60000;
  line.hidden = left > 240;
  line.querySelector("time").textContent = left > 90 ? `${Math.round(left / 60)} h` : `${Math.max(0, Math.round(left))} min`;
}
setInterval(window_, 30000);

// ── moves ──

function refuse(html) {
  const place = $("refused");
  if (!place) return;
  place.innerHTML = html;
  setTimeout(() => { if (place.innerHTML === html) place.replaceChildren(); }, 9000);
}

async function post(address, values) {
  const form = values instanceof FormData ? values : new FormData();
  if (!(values instanceof FormData)) for (const [name, value] of Object.entries(values)) form.set(name, value);
  const answer = await fetch(address, { method: "POST", body: form, headers: { "X-CSRFToken": csrf, "HX-Request": "true" } });
  if (answer.status === 401 || answer.status === 403) location.reload();
  return answer;
}

export async function move(name, values = {}) {
  if (!talk.id) return;
  const epoch = name === "take" ? { epoch: $("standing").dataset.epoch } : {};
  try {
    const answer = await post(`/agent/c/${talk.id}/${name}`, { ...epoch, ...values });
    if (!answer.ok) refuse(await answer.text());
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  }
  catchUp();
}

document.addEventListener("click", (event) => {
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
  if (event.target.closest?.("#attach")) $("file").click();
  if (event.target.closest?.("#record")) record();
});

export function openContact() { $("contact")?.classList.add("shown"); $("show-contact")?.setAttribute("aria-expanded", "true"); $("hide-contact")?.focus(); }
export function closeContact() { $("contact")?.classList.remove("shown"); $("show-contact")?.setAttribute("aria-expanded", "false"); $("show-contact")?.focus(); }

// ── writing ──

const isNote = () => $("composer").classList.contains("as-note");

export function focusComposer(mode) {
  const form = $("composer");
  if (!form) return;
  form.classList.toggle("as-note", mode === "note");
  for (const button of form.querySelectorAll(".mode")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  const field = $("text");
  field.dataset.replyPlaceholder ||= field.placeholder;
  field.placeholder = mode === "note" ? field.dataset.notePlaceholder : field.dataset.replyPlaceholder;
  field.focus();
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
}

function keep(field) {
  kept = field.value;
  const values = new FormData();
  values.set("text", field.value);
  if (isNote()) values.set("note", "1");
  post($("composer").dataset.draft, values).catch(() => {});
}

document.addEventListener("input", (event) => {
  if (event.target.id !== "text") return;
  grow(event.target);
  canned(event.target);
  clearTimeout(typing);
  const field = event.target;
  if (!kept !== !field.value) keep(field);
  else typing = setTimeout(() => keep(field), 1200);
});

function pressing() { return crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`; }

let sending = false;
async function send() {
  const form = $("composer"), field = $("text");
  if (sending || (!field.value.trim() && !queued.length)) return;
  sending = true;
  form.setAttribute("aria-busy", "true");
  const text = field.value;
  try {
    const parts = isNote() || !queued.length ? [null] : [...queued];
    for (const [index, file] of parts.entries()) {
      const values = new FormData();
      values.set("text", index === 0 ? text : "");
      values.set("epoch", $("standing").dataset.epoch);
      if (file) { values.set("file", file, file.name); file.prosaKey ||= pressing(); values.set("key", file.prosaKey); if (file.voice) values.set("voice", "1"); }
      else { form.dataset.key ||= pressing(); values.set("key", form.dataset.key); }
      const answer = await post(isNote() ? form.dataset.note : form.action, values);
      if (!answer.ok) { refuse(await answer.text()); await catchUp(); return; }
      if (file) { queued.splice(queued.indexOf(file), 1); draw(); }
      if (index === 0) { field.value = ""; kept = ""; grow(field); delete form.dataset.key; }
      await catchUp();
    }
    toEnd();
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  } finally {
    sending = false;
    form.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "composer") return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "text" || event.isComposing) return;
  if (choosing(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
    event.preventDefault();
    send();
  }
});

// ── canned replies ──

function canned(field) {
  const list = $("canned"), asked = /^\/([\p{L}\p{N}_-]*)$/u.exec(field.value);
  const items = [...list.children];
  for (const item of items) {
    item.hidden = !asked || !(item.dataset.shortcut.includes(asked[1]) || item.dataset.text.toLowerCase().includes(asked[1].toLowerCase()));
    item.removeAttribute("aria-selected");
  }
  const shown = items.filter((item) => !item.hidden);
  list.hidden = !shown.length;
  shown[0]?.setAttribute("aria-selected", "true");
}

function insert(item) {
  const field = $("text");
  field.value = item.dataset.text;
  $("canned").hidden = true;
  grow(field);
  field.focus();
  keep(field);
}

function choosing(event) {
  const list = $("canned");
  if (!list || list.hidden) return false;
  const shown = [...list.children].filter((item) => !item.hidden);
  const here = shown.findIndex((item) => item.getAttribute("aria-selected") === "true");
  if (event.key === "Escape") { list.hidden = true; event.stopPropagation(); return true; }
  if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); insert(shown[Math.max(0, here)]); return true; }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return false;
  event.preventDefault();
  const next = shown[(here + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length];
  for (const item of shown) item.toggleAttribute("aria-selected", false);
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  return true;
}
document.addEventListener("mousedown", (event) => {
  const item = event.target.closest?.("#canned li");
  if (item) { event.preventDefault(); insert(item); }
});

// ── files ──

function draw() {
  $("files").replaceChildren(...queued.map((file) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.textContent = `${file.name} ×`;
    chip.addEventListener("click", () => { queued.splice(queued.indexOf(file), 1); draw(); });
    return chip;
  }));
}
function add(files) { queued.push(...files); draw(); $("text").focus(); }
document.addEventListener("change", (event) => { if (event.target.id === "file") { add(event.target.files); event.target.value = ""; } });
document.addEventListener("paste", (event) => { if (event.target.id === "text" && event.clipboardData.files.length) { event.preventDefault(); add(event.clipboardData.files); } });
document.addEventListener("dragover", (event) => { if (event.target.closest?.(".thread")) event.preventDefault(); });
document.addEventListener("drop", (event) => { if (event.target.closest?.(".thread") && event.dataTransfer.files.length && $("composer")) { event.preventDefault(); add(event.dataTransfer.files); } });

async function record() {
  const button = $("record");
  if (recorder) { recorder.stop(); return; }
  let stream;
  try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); } catch { return; }
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    for (const track of stream.getTracks()) track.stop();
    const type = recorder.mimeType.split(";")[0];
    recorder = null;
    button.setAttribute("aria-pressed", "false");
    if (!talk.id) return;
    const file = new File(pieces, `voice.${type.split("/")[1]}`, { type });
    file.voice = true;
    add([file]);
  });
  recorder.start();
  button.setAttribute("aria-pressed", "true");
}
