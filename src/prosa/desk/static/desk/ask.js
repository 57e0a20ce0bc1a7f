// Forms that cannot be undone ask first: in a dialog here, without scripts by a page of the server (access.py).
const dialog = document.getElementById("sure");

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.elements.namedItem("ask");
  if (!question || form.elements.namedItem("sure")) return;
  event.preventDefault();
  const pressed = event.submitter;
  document.getElementById("sure-question").textContent = question.value;
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue !== "yes") return;
      const sure = document.createElement("input");
      Object.assign(sure, { type: "hidden", name: "sure", value: "1" });
      form.append(sure);
      form.requestSubmit(pressed);
    },
    { once: true },
  );
});

// A page from the browser's memory asks again.
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("input[name=sure]").forEach((each) => each.remove());
});
