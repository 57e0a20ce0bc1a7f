// The row at the bottom: text, emoji, files, voice, and the message one replies to.

import { el, icon, place, words } from "./server.js";
import { gist } from "./bubbles.js";

const EMOJIS = "😀 😂 😊 😍 🥰 😎 🤔 😅 😢 😡 😴 🤩 🙄 😮 👍 👎 👏 🙏 💪 👋 🤝 ✌️ 👌 🤞 ❤️ 💙 💚 💛 💔 🔥 ✨ 🎉 🎁 🛍️ 📦 🚚 💳 💰 🧾 📷 📍 ⏰ 📅 ✅ ❌ ❓ ❗ ☕ 🍕 🎂 🌹 ☀️ 🌧️ 🐶 🐱 🏠".split(" ");
const VOICES = ["audio/ogg;codecs=opus", "audio/mp4", "audio/webm;codecs=opus"];
const TYPES_MS = 4000;
const LARGEST = 100 * 1024 * 1024;
const $ = (id) => document.getElementById(id);

const form = $("composer");
const text = $("text");
const quote = $("quote");
const attached = $("attached");
const problem = $("problem");
const record = $("record");

let file = null;
let answering = null;
let recorder = null;
let submit = () => {};

export function complain(reason) {
  problem.textContent = reason || "";
  problem.hidden = !reason;
}

function settle() {
  const filled = Boolean(text.value.trim() || file);
  const wordsOnly = form.classList.contains("words-only");
  $("attach").hidden = wordsOnly;
  $("send").hidden = !filled && !wordsOnly;
  record.hidden = filled || wordsOnly;
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 132)}px`;
}

export function answer(bubble, author) {
  answering = bubble;
  quote.hidden = !bubble;
  if (!bubble) return;
  quote.querySelector("strong").textContent = author;
  quote.querySelector("span").textContent = gist(bubble);
  text.focus();
}

/** The API carries no files. */
export function takesFiles(does) {
  form.classList.toggle("words-only", !does);
  settle();
}

export function draft(value) {
  if (value === undefined) return text.value;
  text.value = value;
  answer(null);
  attach(null);
  complain("");
  settle();
  return value;
}

function attach(chosen) {
  if (chosen && (chosen.size === 0 || chosen.size > LARGEST)) {
    complain(words.chooseAnother);
    chosen = null;
  }
  file = chosen;
  attached.hidden = !file;
  if (file) {
    attached.querySelector("strong").textContent = words[kindOf(file)] || words.document;
    attached.querySelector("span").textContent = file.name;
    complain("");
    text.focus();
  }
  settle();
}

const offer = (chosen) => chosen && !form.classList.contains("words-only") && attach(chosen);

function kindOf(chosen) {
  const family = chosen.type.split("/")[0];
  if (/^image\/(jpeg|png)$/.test(chosen.type)) return "image";
  return family === "audio" || family === "video" ? family : "document";
}

function send() {
  const said = text.value.trim();
  if (!said && !file) return;
  const message = file ? { kind: kindOf(file), text: said, file } : { kind: "text", text: said };
  submit({ ...message, reply_to: answering?.id || "" });
  draft("");
  text.focus();
}

async function speak() {
  if (recorder) {
    recorder.stop();
    return;
  }
  complain("");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const type = VOICES.find((each) => MediaRecorder.isTypeSupported(each));
    const chunks = [];
    recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    recorder.ondataavailable = (event) => chunks.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      const mime = recorder.mimeType.split(";")[0];
      const data = new File(chunks, `voice.${mime.split("/")[1]}`, { type: mime });
      recorder = null;
      sounding(false);
      if (data.size) submit({ kind: "audio", text: "", file: data, voice: true, reply_to: answering?.id || "" });
      answer(null);
    };
    recorder.start();
    sounding(true);
  } catch {
    recorder = null;
    complain(words.noMicrophone);
  }
}

function sounding(on) {
  record.classList.toggle("live", on);
  record.replaceChildren(icon(on ? "stop" : "mic"));
  record.setAttribute("aria-label", on ? words.sendRecording : words.record);
  text.placeholder = on ? words.recording : text.dataset.placeholder;
}

/** `onSend({kind, text, file?, voice?, reply_to})` is called for each message, `onType()` every few seconds while one writes. */
export function compose(onSend, onType) {
  submit = onSend;
  let typed = 0;
  text.addEventListener("input", () => {
    if (!text.value || Date.now() - typed < TYPES_MS) return;
    typed = Date.now();
    onType();
  });
  text.dataset.placeholder = text.placeholder;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  text.addEventListener("input", settle);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape" && answering) answer(null);
  });
  text.addEventListener("paste", (event) => {
    const [pasted] = event.clipboardData.files;
    if (pasted) {
      event.preventDefault();
      offer(pasted);
    }
  });
  $("device").addEventListener("dragover", (event) => event.preventDefault());
  $("device").addEventListener("drop", (event) => {
    event.preventDefault();
    offer(event.dataTransfer.files[0]);
  });
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    attach($("file").files[0] || null);
    $("file").value = "";
  });
  quote.querySelector("button").addEventListener("click", () => answer(null));
  attached.querySelector("button").addEventListener("click", () => attach(null));
  record.addEventListener("click", speak);
  const emojis = $("emojis");
  emojis.append(
    ...EMOJIS.map((face) =>
      el("button", {
        type: "button",
        onclick: () => {
          text.setRangeText(face, text.selectionStart, text.selectionEnd, "end");
          settle();
        },
      }, face),
    ),
  );
  emojis.setAttribute("aria-label", words.emoji);
  emojis.addEventListener("toggle", (event) => event.newState === "open" && place(emojis, $("emoji"), { above: true }));
  settle();
}
