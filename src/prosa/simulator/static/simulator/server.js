// What the page asks of the server, and the words the server gave it.

const body = document.body;
export const words = JSON.parse(document.getElementById("words").textContent);
export const start = JSON.parse(document.getElementById("start").textContent);
export const base = body.dataset.base;
export const language = document.documentElement.lang;

/** The server said no (`status` 4xx or 5xx) or was not there (`status` 0). */
export class Refused extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(base + path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(words.away, 0);
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused((found.error || `${answer.status}`).split("\n")[0], answer.status);
  return found;
}

export const get = (path, query = {}) => call(`${path}?${new URLSearchParams(query)}`);

export const post = (path, data) =>
  call(path, {
    method: "POST",
    headers: { "X-CSRFToken": body.dataset.csrf, ...(data instanceof FormData ? {} : { "Content-Type": "application/json" }) },
    body: data instanceof FormData ? data : JSON.stringify(data),
  });

export const fill = (sentence, value) => sentence.replace("%s", value);

/** An element: `el("p", {class: "x", onclick: f}, "text", child)`. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Put a popover beside a button, inside the window. */
export function place(popover, button, { above = false } = {}) {
  const at = button.getBoundingClientRect();
  const width = popover.offsetWidth;
  const height = popover.offsetHeight;
  const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
  const below = at.bottom + 4;
  const top = above || below + height > innerHeight - 8 ? at.top - height - 6 : below;
  popover.style.left = `${left}px`;
  popover.style.top = `${Math.max(8, top)}px`;
}
