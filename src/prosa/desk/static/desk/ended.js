// The session is over: said where the person is, with what they wrote still before them.
export function ended() {
  const box = document.getElementById("ended");
  if (!box || box.open || box.dataset.told) return;
  box.dataset.told = "1";
  const way = box.querySelector("a");
  way.href = `${way.pathname}?next=${encodeURIComponent(location.pathname + location.search)}`;
  box.showModal();
}
