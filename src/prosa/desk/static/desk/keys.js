// The keys: which they are stands in desk/keys.py, what they press says data-key.

import { closeContact, openContact } from "./talk.js";

const $ = (id) => document.getElementById(id);
const table = JSON.parse($("key-table").textContent);
const sheet = $("key-sheet");
let own = {}; // what no element does

export function hear(acts) { own = acts; }

const usable = (each) => !each.disabled && !each.closest("[hidden]") && (!each.closest("#composer") || each.checkVisibility());

function press({ name, focuses }) {
  if (name === "help") { sheet.showModal(); return; }
  if (name === "about") { if ($("contact")?.classList.contains("shown")) closeContact(); else openContact(); return; }
  if (name === "quote") { [...document.querySelectorAll(".bubble.in .quote")].at(-1)?.click(); return; }
  if (own[name]) { own[name](); return; }
  const target = [...document.querySelectorAll(`[data-key="${name}"]`)].find(usable);
  if (!target) { $("aloud").textContent = ""; $("aloud").textContent = sheet.dataset.nothing; return; }
  if (target.closest("#contact") && !target.checkVisibility()) openContact();
  if (focuses || target.tagName === "SUMMARY") target.focus();
  if (!focuses) target.click();
  else if (target.tagName === "SELECT") try { target.showPicker(); } catch { /* a browser without it opens with the space bar */ }
}

function wanted(event, typing) {
  if (event.ctrlKey || event.metaKey) return null;
  const letter = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : "";
  if (event.altKey) {
    const pressed = letter || event.code.replace(/^Key/, ""); // with Alt a Mac writes signs
    return event.shiftKey ? null : table.find((each) => each.inside === pressed);
  }
  if (typing) return null;
  const name = letter ? (event.shiftKey ? `Shift+${letter}` : letter.toLowerCase()) : event.key;
  return table.find((each) => each.key === name);
}

addEventListener("keydown", (event) => {
  if (event.isComposing || event.getModifierState("AltGraph") || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    const panel = document.querySelector("details.pop[open]");
    if (panel) { panel.open = false; panel.querySelector("summary").focus(); }
    else if (typing) typing.blur();
    else if (document.body.classList.contains("talking")) document.querySelector(".thread .back")?.click();
    return;
  }
  const found = wanted(event, typing);
  if (!found) return;
  event.preventDefault();
  press(found);
});

$("keys").addEventListener("click", () => sheet.showModal());
sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
