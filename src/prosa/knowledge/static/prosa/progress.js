// Shows how far sources are: while one is busy, its standing is asked for again.
const EVERY = 1500;

async function look() {
  const busy = [...document.querySelectorAll(".prosa-standing[data-busy]")];
  if (!busy.length) return;
  // The list's own address ends where theirs begins.
  const address = document.querySelector("[data-progress]")?.dataset.progress ?? "progress/";
  try {
    const answer = await fetch(`${address}?ids=${busy.map((each) => each.dataset.source).join(",")}`);
    if (answer.ok) {
      const found = await answer.json();
      for (const each of busy) {
        const now = found[each.dataset.source];
        if (now) each.outerHTML = now.html;
      }
    }
  } catch {
    // The server is away for a moment; the next look will tell.
  }
  setTimeout(look, EVERY);
}

addEventListener("DOMContentLoaded", () => setTimeout(look, EVERY));
