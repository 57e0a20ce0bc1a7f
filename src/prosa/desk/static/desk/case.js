// The card of what the assistant asks: answering it. What was begun to be written is kept while the page catches up.

import { tell } from "./desk.js";
import { catchUp, post, refuse } from "./talk.js";

const $ = (id) => document.getElementById(id);
const kept = (id) => `prosa-case-${id}`;

function settle() {
  const card = document.querySelector(".case[data-case]"), text = $("case-text");
  if (!card) return;
  tell(card);
  if (text && !text.value) text.value = sessionStorage.getItem(kept(card.dataset.case)) || "";
}

// The same question is not drawn again under the fingers of whoever answers it.
document.addEventListener("prosa:since", (event) => {
  const fresh = event.detail.querySelector("#since-case"), place = $("case");
  if (!fresh || !place) return;
  const now = place.querySelector(".case"), next = fresh.querySelector(".case");
  if (now && next && now.dataset.case === next.dataset.case && now.className === next.className && Boolean(now.querySelector("form")) === Boolean(next.querySelector("form"))) return;
  if (now?.contains(document.activeElement)) $("case-gone")?.focus();
  const words = $("case-text")?.value, field = $("text");
  place.replaceChildren(...fresh.children);
  if (words && next?.classList.contains("handed_off") && field && !field.value) { // taken over: what was begun is said by the person
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  settle();
});

async function send(address, values, form) {
  const buttons = form.querySelectorAll("button");
  for (const each of buttons) each.disabled = true;
  try {
    const answer = await post(address, values);
    if (answer.status !== 204) refuse(await answer.text());
    if (answer.ok) sessionStorage.removeItem(kept(form.closest(".case").dataset.case));
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  } finally {
    for (const each of buttons) each.disabled = false;
  }
  catchUp();
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest?.("form[data-answer]");
  if (!form) return;
  event.preventDefault();
  send(form.dataset.answer, { text: $("case-text").value }, form);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-nobody]");
  if (button) send(button.dataset.nobody, {}, button.form);
});
document.addEventListener("input", (event) => {
  if (event.target.id === "case-text") sessionStorage.setItem(kept(event.target.closest(".case").dataset.case), event.target.value);
});
document.addEventListener("keydown", (event) => {
  if (event.target.id === "case-text" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
});
document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.id === "talk") settle(); });
queueMicrotask(settle); // desk.js, which tells times, is there only after this file
