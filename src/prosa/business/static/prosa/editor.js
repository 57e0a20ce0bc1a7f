// Shows the length of a text field marked with data-count, in characters and estimated tokens.
// Portuguese and Spanish need about 3.5 characters a token in current models; it is an estimate and says so.
const number = new Intl.NumberFormat(document.documentElement.lang || "en");

for (const field of document.querySelectorAll("textarea[data-count]")) {
  const line = document.createElement("p");
  line.className = "prosa-count";
  line.setAttribute("aria-live", "off");
  field.after(line);
  const show = () => {
    const length = [...field.value].length;
    const text = field.dataset.count;
    line.textContent = text.replace("{characters}", number.format(length)).replace("{tokens}", number.format(Math.ceil(length / 3.5)));
    field.style.height = "auto";
    field.style.height = `${Math.min(Math.max(field.scrollHeight + 2, 320), innerHeight * 0.8)}px`;
  };
  field.addEventListener("input", show);
  show();
}
