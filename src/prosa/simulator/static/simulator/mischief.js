// The panel that tells the providers to misbehave.

import { el, fill, get, post, words } from "./server.js";

const dialog = document.getElementById("mischief");
const form = dialog.querySelector("form");
const problem = dialog.querySelector(".problem");

function show({ rules }) {
  const often = ({ times }) => (times === null ? words.untilCleared : times === 1 ? words.onceMore : fill(words.timesLeft, times));
  dialog.querySelector("#rules").textContent = rules.length
    ? rules.map((rule) => `${words.rules[rule.kind]}: ${often(rule)}`).join("\n")
    : words.behaves;
  document.getElementById("mischief-dot").hidden = rules.length === 0;
}

async function order(what) {
  problem.hidden = true;
  try {
    show(await post("api/mischief/", what));
  } catch (refused) {
    problem.textContent = refused.message;
    problem.hidden = false;
  }
}

export const refresh = () => get("api/mischief/").then(show, () => {});

export function prepare() {
  const kinds = Object.entries(words.rules).map(([kind, label], index) =>
    el("label", {}, el("input", { type: "radio", name: "kind", value: kind, checked: index === 0 }), el("span", {}, label)),
  );
  dialog.querySelector("#kinds").append(...kinds);
  document.getElementById("open-mischief").addEventListener("click", () => {
    dialog.showModal();
    refresh();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const times = form.times.value;
    order({ kind: form.kind.value, times: times ? Number(times) : null, seconds: Number(form.seconds.value) });
  });
  dialog.querySelector('[value="clear"]').addEventListener("click", () => order({ clear: true }));
  dialog.querySelector('[value="cancel"]').addEventListener("click", () => dialog.close());
  refresh();
}
