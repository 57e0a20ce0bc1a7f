// Shows how far sources are: while one is busy, its standing is asked for again. When the last one has ended, what else
// the page says of them (how many documents, what could not be read) is fetched anew.
const EVERY = 1500;

async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-fresh], #result_list")) {
    const now = page.querySelector(old.dataset.fresh ? `[data-fresh="${old.dataset.fresh}"]` : "#result_list");
    if (now) old.replaceWith(document.adoptNode(now));
  }
}

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
      if (!document.querySelector(".prosa-standing[data-busy]")) await refresh();
    }
  } catch {
    // The server is away for a moment; the next look will tell.
  }
  setTimeout(look, EVERY);
}

addEventListener("DOMContentLoaded", () => setTimeout(look, EVERY));
