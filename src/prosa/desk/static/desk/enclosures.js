// Files and voice notes that wait to be sent with the message.

import { focusComposer, isNote } from "./composer.js";
import { refuse } from "./talk.js";

const $ = (id) => document.getElementById(id);
const queued = [];
const MOST_FILES = 20, MOST_RECORDING_S = 600;

export const files = () => queued;

function size(bytes) {
  const unit = bytes >= 1048576 ? "megabyte" : "kilobyte";
  return new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, maximumFractionDigits: 1 }).format(bytes / (unit === "megabyte" ? 1048576 : 1024));
}

// Why a file cannot be sent, said before it travels; empty when it can.
function objection(file) {
  const { types, most } = JSON.parse($("sending").textContent), said = $("composer").dataset;
  const limit = most[types[file.type.split(";")[0].toLowerCase()] ?? "document"];
  if (!file.size) return `${file.name} ${said.empty}`;
  return file.size > limit ? `${file.name} (${size(file.size)}) ${said.large} ${size(limit)}` : "";
}

function complain(text) {
  const line = document.createElement("p");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = text;
  refuse(line.outerHTML);
}

function add(chosen) {
  if (isNote()) focusComposer("reply"); // notes carry no files
  const wrong = [];
  for (const file of chosen) {
    const text = objection(file);
    if (text) wrong.push(text);
    else if (queued.length < MOST_FILES) queued.push(file);
  }
  if (wrong.length) complain(wrong.join(" "));
  draw();
  $("text").focus();
}

export function remove(file) {
  const place = queued.indexOf(file);
  if (place >= 0) queued.splice(place, 1);
  if (file.prosaAddress) URL.revokeObjectURL(file.prosaAddress);
  draw();
}

export function leaveFiles() { for (const file of [...queued]) remove(file); }

function draw() {
  const list = $("files");
  if (!list) return;
  list.replaceChildren(...queued.map((file) => {
    const item = document.createElement("li"), name = document.createElement("span"), cross = document.createElement("button");
    const kind = file.type.split("/")[0];
    if (kind === "image" || kind === "audio") {
      file.prosaAddress ||= URL.createObjectURL(file);
      const look = document.createElement(kind === "image" ? "img" : "audio");
      look.src = file.prosaAddress;
      if (kind === "image") look.alt = ""; else { look.controls = true; look.setAttribute("aria-label", file.name); }
      item.append(look);
    }
    name.textContent = `${file.name} · ${size(file.size)}`;
    cross.type = "button";
    cross.className = "icon";
    cross.textContent = "×";
    cross.setAttribute("aria-label", `${list.dataset.remove}: ${file.name}`);
    cross.addEventListener("click", () => { remove(file); $("text").focus(); });
    item.append(name, cross);
    return item;
  }));
}

// ── chosen, pasted, dropped ──

document.addEventListener("change", (event) => { if (event.target.id === "file") { add(event.target.files); event.target.value = ""; } });

export function drop(event, carried) {
  if (!$("composer") || !carried?.files.length) return;
  event.preventDefault();
  add(carried.files);
}

const carriesFiles = (event) => $("composer") && event.target.closest?.(".thread") && [...event.dataTransfer.types].includes("Files");
const over = (on) => document.querySelector(".thread")?.classList.toggle("dropping", on);
document.addEventListener("dragover", (event) => { if (carriesFiles(event)) { event.preventDefault(); over(true); } });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget?.closest?.(".thread")) over(false); });
document.addEventListener("drop", (event) => { over(false); if (carriesFiles(event)) drop(event, event.dataTransfer); });

// ── recording ──

// WhatsApp plays Opus in Ogg; what Chrome records instead is written anew by the server.
const FORMS = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"];
let recorder = null;

async function record() {
  if (recorder) return;
  let stream;
  try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); } catch { complain($("composer").dataset.noMicrophone); return; }
  const pieces = [], began = Date.now();
  const made = new MediaRecorder(stream, { mimeType: FORMS.find((form) => MediaRecorder.isTypeSupported(form)) });
  recorder = made;
  made.wanted = true;
  const clock = setInterval(() => {
    const seconds = Math.floor((Date.now() - began) / 1000);
    if ($("recorded")) $("recorded").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (seconds >= MOST_RECORDING_S) stopRecording(true);
  }, 250);
  made.addEventListener("dataavailable", (event) => pieces.push(event.data));
  made.addEventListener("stop", () => {
    clearInterval(clock);
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    if ($("recording")) { $("recording").hidden = true; $("record").disabled = false; }
    if (!made.wanted || !$("composer")) return;
    const type = made.mimeType.split(";")[0], file = new File(pieces, `voice.${type.split("/")[1]}`, { type });
    file.voice = true;
    add([file]);
  });
  made.start();
  $("recorded").textContent = "0:00";
  $("recording").hidden = false;
  $("record").disabled = true;
  $("finish-recording").focus();
}

export function stopRecording(wanted = false) {
  if (!recorder) return;
  recorder.wanted = wanted;
  recorder.stop();
}

document.addEventListener("click", (event) => {
  const id = event.target.closest?.("button")?.id;
  if (id === "record") record();
  else if (id === "finish-recording") stopRecording(true);
  else if (id === "discard") { stopRecording(); $("text").focus(); }
});
