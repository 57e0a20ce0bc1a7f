// What is not sent as it is typed: approved templates, and messages for later.

import { nothing } from "./assist.js";
import { clear, focusComposer, put, words } from "./composer.js";
import { ended } from "./ended.js";
import { toEnd } from "./messages.js";
import { catchUp, post, refuse } from "./talk.js";

const $ = (id) => document.getElementById(id);
const language = document.documentElement.lang || "en";
const full = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function when() {
  for (const time of document.querySelectorAll("#scheduled time[data-when]")) time.textContent = full.format(new Date(time.dateTime));
}

// ── later ──

const local = (date) => new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);

function openLater() {
  if (!words().trim()) { nothing(); return; }
  const field = $("later-at"), now = new Date();
  field.min = local(now);
  field.value = local(new Date(now.getTime() + 3600000));
  $("later-refused").replaceChildren();
  warn();
  $("later-sheet").showModal();
}

// Outside the window nothing free can leave, unless the customer writes before.
function warn() {
  const ends = document.querySelector("#standing .window[data-until]")?.dataset.until;
  const shut = "closed" in $("standing").dataset || (ends && new Date($("later-at").value) > new Date(ends));
  $("later-closed").hidden = !shut;
}

function choose(button) {
  const at = new Date();
  if (button.dataset.in) at.setMinutes(at.getMinutes() + Number(button.dataset.in));
  else {
    at.setDate(at.getDate() + (button.dataset.morning === "monday" ? (8 - at.getDay()) % 7 || 7 : 1));
    at.setHours(9, 0, 0, 0);
  }
  $("later-at").value = local(at);
  warn();
}

async function schedule() {
  const form = $("composer"), at = new Date($("later-at").value);
  if (Number.isNaN(at.getTime())) return;
  try {
    const answer = await post(form.dataset.schedule, { text: words(), at: at.toISOString() });
    if (!answer.ok) { $("later-refused").innerHTML = await answer.text(); return; }
    $("later-sheet").close();
    clear();
    catchUp();
  } catch {
    $("later-refused").innerHTML = `<p class="problem">${$("lost").textContent}</p>`;
  }
}

async function unschedule(button) {
  const again = button.dataset.again;
  try {
    const answer = await post(button.dataset.unschedule, {});
    if (!answer.ok) refuse(await answer.text());
    else if (again) { focusComposer("reply"); put(words().trim() ? `${words().trimEnd()}\n\n${again}` : again); }
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  }
  catchUp();
}

// ── templates ──

export async function chooseTemplate() {
  const sheet = $("template-sheet"), place = $("template-body"), address = $("composer")?.dataset.templates;
  if (!sheet || !address) return;
  place.innerHTML = '<p class="more"><span class="spinner"></span></p>';
  if (!sheet.open) sheet.showModal();
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) { ended(); return; }
    place.innerHTML = await answer.text();
    for (const form of place.querySelectorAll("form")) preview(form);
    (place.querySelector("input[type=search]") ?? sheet.querySelector("[data-close]")).focus();
  } catch {
    place.innerHTML = `<p class="problem">${$("lost").textContent}</p>`;
  }
}

function preview(form) {
  for (const mark of form.querySelectorAll("mark[data-place]")) {
    const field = form.elements[mark.dataset.place];
    mark.textContent = field?.value.trim() || field?.placeholder || "…";
    mark.classList.toggle("empty", !field?.value.trim());
  }
}

function narrow(asked) {
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  for (const each of document.querySelectorAll(".template")) each.hidden = !plain(each.dataset.words).includes(plain(asked));
}

async function sendTemplate(form) {
  if (form.hasAttribute("aria-busy")) return;
  const values = new FormData(form), place = form.querySelector("[data-refused]");
  const said = JSON.stringify([...values]);
  if (form.dataset.said !== said) { form.dataset.said = said; form.dataset.key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; }
  values.set("key", form.dataset.key);
  values.set("epoch", $("standing").dataset.epoch);
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await post(form.action, values);
    if (!answer.ok) { place.innerHTML = await answer.text(); delete form.dataset.said; catchUp(); return; }
    $("template-sheet").close();
    await catchUp();
    toEnd();
  } catch {
    place.innerHTML = `<p class="problem">${$("lost").textContent}</p>`;
  } finally {
    form.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  if (button.id === "later") openLater();
  else if (button.dataset.in || button.dataset.morning) choose(button);
  else if (button.dataset.unschedule) unschedule(button);
  else if (button.id === "choose-template" || "chooseTemplate" in button.dataset) chooseTemplate();
  else if ("close" in button.dataset) button.closest("dialog")?.close();
});
document.addEventListener("input", (event) => {
  if (event.target.id === "later-at") warn();
  else if (event.target.id === "template-search") narrow(event.target.value);
  else if (event.target.form?.matches?.("[data-template-form]")) preview(event.target.form);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-template-form]")) { event.preventDefault(); sendTemplate(event.target); }
  else if (event.target.parentElement?.id === "later-sheet") { event.preventDefault(); schedule(); }
});
