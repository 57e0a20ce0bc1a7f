// What failed is written again, what may not have arrived is sent again.

import { focusComposer, put, words } from "./composer.js";
import { chooseTemplate } from "./later.js";
import { catchUp, post, refuse } from "./talk.js";

const $ = (id) => document.getElementById(id);

function write(text) {
  if ("closed" in $("standing").dataset) { chooseTemplate(); return; }
  focusComposer("reply");
  put(words().trim() ? `${words().trimEnd()}\n\n${text}` : text);
}

async function send(button) {
  if (button.dataset.ask && !confirm(button.dataset.ask)) return;
  button.disabled = true;
  try {
    const answer = await post(button.dataset.sendAgain, { epoch: $("standing").dataset.epoch });
    if (answer.ok) button.closest(".resend").remove();
    else refuse(await answer.text());
  } catch {
    refuse(`<p class="problem">${$("lost").textContent}</p>`);
  } finally {
    button.disabled = false;
  }
  catchUp();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (button?.dataset.writeAgain) write(button.dataset.writeAgain);
  else if (button?.dataset.sendAgain) send(button);
});
