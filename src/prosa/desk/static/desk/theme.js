// Before anything is drawn: light or dark, as the person chose here last time.
const chosen = localStorage.getItem("prosa-theme");
if (chosen) document.documentElement.dataset.theme = chosen;
