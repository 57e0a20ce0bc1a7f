// A button with data-copy="<id>" copies the text of that element and says so for two seconds.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  } catch {
    // Without HTTPS there is no clipboard: select it, so that Ctrl+C does.
    source.select ? source.select() : getSelection().selectAllChildren(source);
    return;
  }
  const label = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 2000);
});
