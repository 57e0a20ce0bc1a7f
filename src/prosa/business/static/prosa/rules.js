// Adds an empty rule to the guidelines, asks before a draft is thrown away, and before unsaved words are left behind.
const list = document.querySelector("[data-rules]");
const total = document.querySelector("[name=form-TOTAL_FORMS]");
const form = document.getElementById("guideline_form");
let written = false;

document.querySelector("[data-add-rule]")?.addEventListener("click", () => {
  const holder = document.createElement("div");
  holder.innerHTML = document.querySelector("template[data-rule]").innerHTML.replaceAll("__prefix__", total.value);
  const rule = holder.firstElementChild;
  list.append(rule);
  total.value = String(Number(total.value) + 1);
  written = true;
  rule.querySelector("textarea").focus();
});

form?.addEventListener("input", () => { written = true; });
form?.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.sure;
  if (question && !confirm(question)) event.preventDefault();
  else written = false;
});
addEventListener("beforeunload", (event) => { if (written) event.preventDefault(); });
