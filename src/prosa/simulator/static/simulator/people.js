// The customers one can be, kept in this browser.

import { words } from "./server.js";

const KEY = "prosa.simulator.people";
const NAMES = ["Ana Souza", "Bruno Lima", "Camila Rocha", "Diego Fernández", "Elisa Prado", "Felipe Nunes", "Gabriela Castro", "Hugo Méndez", "Isabela Moura", "João Pedro Alves", "Lucía Torres", "Marina Dias"];
const AREAS = ["11", "21", "31", "41", "51", "71", "81", "85"];

const digits = (count) => Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => byte % 10).join("");

export const keyOf = (person) => person.phone || `@${person.username}`;

/** "+55 11 98888-7777" for Brazil, "+…" for the rest. */
export function pretty(person) {
  if (!person.phone) return `@${person.username}`;
  const found = /^55(\d\d)(\d{4,5})(\d{4})$/.exec(person.phone);
  return found ? `+55 ${found[1]} ${found[2]}-${found[3]}` : `+${person.phone}`;
}

export function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    if (Array.isArray(kept) && kept.length) return kept.filter((person) => person.phone || person.username);
  } catch {
    // nothing usable was kept
  }
  return [invent([])];
}

export const save = (people) => localStorage.setItem(KEY, JSON.stringify(people));

/** Somebody with a name not taken yet and a Brazilian mobile number. */
export function invent(people) {
  const free = NAMES.filter((name) => !people.some((person) => person.name === name));
  const pick = (list) => list[crypto.getRandomValues(new Uint8Array(1))[0] % list.length];
  return { name: people.length ? pick(free.length ? free : NAMES) : NAMES[0], phone: `55${pick(AREAS)}9${digits(8)}`, username: "" };
}

/** What the form holds, or the reason why not. */
export function checked(form) {
  const phone = form.phone.value.replace(/[\s().+-]/g, "");
  const username = form.username.value.trim().replace(/^@/, "").toLowerCase();
  if (phone ? !/^[1-9]\d{7,14}$/.test(phone) : !/^[a-z0-9._]{3,30}$/.test(username)) return { problem: words.nameOrPhone };
  return { person: { name: form.elements.name.value.trim(), phone, username: phone ? "" : username } };
}

export const initials = (name) =>
  (name || "?").split(/\s+/).filter((part) => /^[\p{L}\p{N}]/u.test(part)).map((part) => [...part][0]).slice(0, 2).join("").toUpperCase() || "?";
