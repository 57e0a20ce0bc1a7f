// A message as elements. Nothing a message holds is ever read as HTML.

import { base, el, icon, language, words } from "./server.js";

const time = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|‍|️){1,12}$/u;
const MARKS = [
  [/```([^`]+)```/, "code"],
  [/`([^`\n]+)`/, "code"],
  [/(?<![\p{L}\p{N}])\*(\S(?:[^*\n]*\S)?)\*(?![\p{L}\p{N}])/u, "strong"],
  [/(?<![\p{L}\p{N}])_(\S(?:[^_\n]*\S)?)_(?![\p{L}\p{N}])/u, "em"],
  [/(?<![\p{L}\p{N}])~(\S(?:[^~\n]*\S)?)~(?![\p{L}\p{N}])/u, "s"],
  [/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]])/, "a"],
];

/** WhatsApp's marks (*bold*, _italic_, ~struck~, `code`) and links. */
export function formatted(text) {
  let first = null;
  for (const [pattern, name] of MARKS) {
    const found = pattern.exec(text);
    if (found && (!first || found.index < first.found.index)) first = { found, name };
  }
  if (!first) return text ? [document.createTextNode(text)] : [];
  const { found, name } = first;
  const inside = name === "code" || name === "a" ? [found[1]] : formatted(found[1]);
  const made = el(name, name === "a" ? { href: found[1], target: "_blank", rel: "noopener noreferrer nofollow" } : {}, ...inside);
  return [...formatted(text.slice(0, found.index)), made, ...formatted(text.slice(found.index + found[0].length))];
}

export function dayName(at) {
  const then = new Date(at).setHours(0, 0, 0, 0);
  const today = new Date().setHours(0, 0, 0, 0);
  const ago = Math.round((today - then) / 86400000);
  return ago === 0 ? words.today : ago === 1 ? words.yesterday : day.format(at);
}

const plain = (text) => (text ? el("span", {}, ...formatted(text)).textContent : "");

/** What a quote or a list says of a message. */
export function gist(bubble) {
  return plain(bubble?.text) || words[bubble?.file?.kind] || words[bubble?.kind] || words.quoted;
}

function tick(bubble) {
  if (bubble.author !== "customer") return null;
  const names = { sending: "clock", sent: "check", delivered: "checks", read: "checks", failed: "alert" };
  const mark = icon(names[bubble.status] || "clock");
  mark.removeAttribute("aria-hidden");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", words[bubble.status] || bubble.status);
  mark.setAttribute("class", bubble.status);
  return mark;
}

const kilobytes = (size) =>
  new Intl.NumberFormat(language, { style: "unit", unit: size < 1e6 ? "kilobyte" : "megabyte", maximumFractionDigits: 1 }).format(
    size < 1e6 ? size / 1000 : size / 1e6,
  );

function fileOf(bubble) {
  const { file, kind } = bubble;
  if (!file) return null;
  const url = file.local || (file.id ? `${base}file/${encodeURIComponent(file.id)}/` : "");
  if (!url) return el("p", { class: "foot" }, words.sending);
  const gone = (event) => event.target.replaceWith(el("p", { class: "foot" }, words.gone));
  if (kind === "image" || kind === "sticker") return el("img", { src: url, alt: bubble.text || words[kind], onerror: gone, onload: (event) => event.target.dispatchEvent(new Event("sized", { bubbles: true })) });
  if (kind === "video") return el("video", { src: url, controls: true, preload: "metadata", onerror: gone });
  if (kind === "audio") return el("audio", { src: url, controls: true, preload: "metadata", "aria-label": words.audio, onerror: gone });
  const about = el("span", {}, el("strong", {}, file.filename || words.document), el("small", {}, file.size ? kilobytes(file.size) : ""));
  return el("a", { class: "doc", href: url, download: file.filename || "" }, icon("file"), about);
}

function placeOf({ place }) {
  if (!place) return null;
  const about = el("span", {}, el("strong", {}, place.name || words.location), el("small", {}, place.address || `${place.latitude}, ${place.longitude}`));
  return el("div", { class: "doc" }, icon("pin"), about);
}

function choicesOf(bubble, { answered, choose, openList }) {
  const { choices } = bubble;
  if (!choices) return null;
  if (choices.type === "url") {
    return el("div", { class: "options" }, el("a", { href: choices.url, target: "_blank", rel: "noopener noreferrer nofollow" }, icon("open"), choices.button));
  }
  if (choices.type === "list") {
    return el("div", { class: "options" }, el("button", { type: "button", disabled: answered, onclick: () => openList(bubble) }, icon("list"), choices.button || words.choose));
  }
  const buttons = choices.options.map((option) => el("button", { type: "button", disabled: answered, onclick: () => choose(bubble, option, "button") }, option.title));
  return el("div", { class: "options" }, ...buttons);
}

/**
 * The list item of a message. `context`: `turn` (another author than the message before), `answered` (one of its
 * options was chosen), `quoted` (the message it answers), and what to do: `choose openList again menu jump`.
 */
export function draw(bubble, context) {
  const mine = bubble.author === "customer";
  const said = bubble.text && bubble.kind !== "contacts" ? el("div", { class: EMOJI_ONLY.test(bubble.text) && !bubble.file ? "said big" : "said" }, ...formatted(bubble.text)) : null;
  const cite = bubble.reply_to && !["button", "list"].includes(bubble.kind)
    ? el("button", { type: "button", class: "cite", onclick: () => context.jump(bubble.reply_to) }, el("strong", {}, context.quoted?.author === "customer" ? words.you : context.lineName), el("span", {}, gist(context.quoted)))
    : null;
  const body = el(
    "div",
    { class: "body" },
    cite,
    bubble.header ? el("div", { class: "head" }, ...formatted(bubble.header)) : null,
    fileOf(bubble),
    placeOf(bubble),
    bubble.kind === "contacts" ? el("div", { class: "doc" }, el("strong", {}, bubble.text || words.contacts)) : null,
    said,
    bubble.footer ? el("div", { class: "foot" }, ...formatted(bubble.footer)) : null,
    el("div", { class: "meta" }, el("time", { datetime: new Date(bubble.at).toISOString() }, time.format(bubble.at)), tick(bubble)),
    el("button", { type: "button", class: "menu icon", "aria-label": words.more, "aria-haspopup": "true", onclick: (event) => context.menu(bubble, event.currentTarget) }, icon("more")),
  );
  const faces = [...new Set(Object.values(bubble.reactions || {}).filter(Boolean))];
  const failed = bubble.status === "failed" && mine;
  const lost = !mine && !bubble.received;
  return el(
    "li",
    { class: `bubble ${bubble.author} ${bubble.kind}${context.turn ? " turn" : ""}${lost ? " lost" : ""}`, "data-id": bubble.id, tabindex: "-1" },
    el("span", { class: "visually-hidden" }, `${mine ? words.you : context.lineName}: `),
    body,
    faces.length ? el("span", { class: "reactions", "aria-label": `${words.reaction}: ${faces.join(" ")}` }, faces.join("")) : null,
    mine ? null : choicesOf(bubble, context),
    lost && bubble.status === "failed" ? el("p", { class: "not-received" }, icon("alert"), words.notReceived) : null,
    failed ? el("button", { type: "button", class: "again", title: bubble.error, onclick: () => context.again(bubble) }, icon("alert"), words.notSent) : null,
  );
}
