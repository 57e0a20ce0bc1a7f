// The session is over: said where the person is, with what they wrote still before them.
export function ended() {
  const box = document.getElementById("ended");
  if (!box || box.open || box.dataset.told) return;
  box.dataset.told = "1";
  const way = box.querySelector("a");
  way.href = `${way.pathname}?next=${encodeURIComponent(location.pathname + location.search)}`;
  box.showModal();
  box.tabIndex = -1;
  box.focus(); // and none of its buttons: it may open while somebody types, whose next space would press one
}
