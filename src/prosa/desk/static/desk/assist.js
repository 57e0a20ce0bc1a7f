// The assistant's help: a suggested reply, and what is written in other words. It never sends anything.

import { put, toggle, words } from "./composer.js";
import { ended } from "./ended.js";
import { refuse } from "./talk.js";

const $ = (id) => document.getElementById(id);
let asking = null, before = "";

const refusedKey = (turn) => `prosa-refused-${turn}`;
const wasRefused = (turn) => turn !== "0" && sessionStorage.getItem(refusedKey(turn)) !== null;

// What the assistant was about to say comes and goes with the conversation; `fresh` holds what is true now.
export function appear(place, fresh = null) {
  const now = place.querySelector(".suggestion"), next = (fresh ?? place).querySelector(".suggestion");
  if (next && wasRefused(next.dataset.turn)) next.remove();
  else if (fresh && next && !now) place.append(next);
  else if (fresh && now && now.dataset.turn !== "0" && now.dataset.turn !== next?.dataset.turn) now.replaceWith(...(next ? [next] : []));
}

function away(card) {
  if (card.dataset.turn !== "0") sessionStorage.setItem(refusedKey(card.dataset.turn), "1");
  card.remove();
}

// One question at a time; `stop` forgets it. What it cost is booked all the same.
async function ask(address, values, take) {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  busy(true);
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) form.set(name, value);
  try {
    const answer = await fetch(address, { method: "POST", body: form, signal: mine.signal, headers: { "X-CSRFToken": document.body.dataset.csrf, "HX-Request": "true" } });
    if (answer.status === 401) { ended(); return; }
    if ($("composer")?.contains(document.querySelector(`#assisting`)) && asking === mine) {
      if (answer.ok) await take(answer);
      else refuse(await answer.text());
    }
  } catch (error) {
    if (error.name !== "AbortError") refuse(`<p class="problem">${$("lost").textContent}</p>`);
  } finally {
    if (asking === mine) { asking = null; busy(false); }
  }
}

function busy(on) {
  if (!$("assisting")) return;
  $("assisting").hidden = !on;
  for (const id of ["suggest", "rewrite"]) $(id).toggleAttribute("aria-busy", on);
}

function suggest() {
  const form = $("composer"), place = $("offer");
  ask(form.dataset.suggest, {}, async (answer) => {
    if (form !== $("composer")) return; // another conversation is open by now
    place.innerHTML = await answer.text();
    place.querySelector("[data-use]")?.focus();
  });
}

function rewrite(way) {
  const form = $("composer"), text = words();
  if (!text.trim()) { nothing(); return; }
  ask(form.dataset.rewrite, { text, way }, async (answer) => {
    const told = (await answer.json()).text;
    if (form !== $("composer") || words() !== text) return; // somebody wrote on: their words count
    before = text;
    put(told);
    $("rewritten").hidden = false;
  });
}

export function nothing() {
  const line = document.createElement("p");
  line.className = "problem";
  line.textContent = $("composer").dataset.nothing;
  refuse(line.outerHTML);
  $("text").focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button || !$("composer")) return;
  const card = button.closest(".suggestion");
  if (button.id === "suggest") suggest();
  else if (button.id === "rewrite") { if (words().trim()) toggle(button, $("ways")); else nothing(); }
  else if (button.dataset.way) { toggle($("rewrite"), $("ways"), false); rewrite(button.dataset.way); }
  else if (button.id === "stop-assisting") { asking?.abort(); $("text").focus(); }
  else if (button.id === "undo-rewrite") { $("rewritten").hidden = true; put(before); }
  else if (card && "use" in button.dataset) { put(words().trim() ? `${words().trimEnd()}\n\n${button.dataset.use}` : button.dataset.use); away(card); }
  else if (card && "refuse" in button.dataset) { away(card); $("text").focus(); }
});
document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.target.id === "talk") asking?.abort(); });
