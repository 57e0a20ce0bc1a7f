"""Text made for the ear: no marks, no figures, no emoji, so that a voice reads what a person would say.

Choices, always the same: Portuguese and Spanish tell time by 24 hours (``14:30`` → *quatorze e trinta*), English by
twelve (*two thirty p.m.*). Phone numbers, codes and long numbers are read digit by digit. A link is read as its host
and path; what follows ``?`` or ``#`` is not for the ear and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from re import Match

from prosa.agents.numerals import cardinal, digits, ordinal
from prosa.agents.tongues import POINT_COUNTRIES, Noun, Tongue, region, tongue

_LONG = 7
"""Figures without separators from which a number is a code, read digit by digit."""
_NUMBER = r"[0-9]++(?:[.,][0-9]++)*+"  # possessive: a long row of figures costs its length, not its square
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u25a0-\u25ff\ufe00-\ufe0f\u200b-\u200f\u2060\ufeff"
    "\U000e0020-\U000e007f]|[0-9#*]\ufe0f?\u20e3"
)
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")
_MARKDOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"!?\[([^\][\n]*)\]\([^()\s]*\)"), r"\1"),  # links and pictures: their words
    (re.compile(r"^\s*(?:```|~~~).*$", re.MULTILINE), ""),
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$", re.MULTILINE), ""),  # rules
    (re.compile(r"^\s*\|?(?:\s*:?-{2,}:?\s*\|)+[\s:|-]*$", re.MULTILINE), ""),  # under a table's head
    (re.compile(r"^[ \t]*(?:#{1,6}|>|[-*+•·])[ \t]+", re.MULTILINE), ""),
    (re.compile(r"[ \t]*\|[ \t]*"), ", "),
    (re.compile(r"[`*]|~~|(?<!\w)_+|_+(?!\w)"), ""),
    (re.compile(r"^(?:, )+|[ \t,]+$", re.MULTILINE), ""),
)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]\"']+", re.IGNORECASE)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_PHONE = re.compile(
    r"(?<![\w.,+])(?:\+[0-9]{1,3}[ .-]?)?\(?[0-9]{2,3}\)?[ .-]?[0-9]{4,5}-[0-9]{4}(?![\w-])"
    r"|(?<![\w.,+])\+[0-9](?:[ ().-]{0,2}[0-9]){6,14}(?!\w)"
    r"|(?<![\w.,+])[0-9]{4,5}-[0-9]{4}(?![\w-])"
    r"|(?<![\w.,+])\(?[0-9]{3}\)?[ -][0-9]{3}-[0-9]{4}(?![\w-])"
)
_CODE = re.compile(
    r"(?<![\w.,])(?:[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}|[0-9]{5}-[0-9]{3})(?!\w)"
)
_ISO = re.compile(r"(?<![\w/-])([0-9]{4})-([0-9]{2})-([0-9]{2})(?![\w-])")
_DATE = re.compile(r"(?<![\w/.,-])([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})(?![\w/-])")
_DAY = re.compile(r"(?<![\w/.,-])([0-9]{1,2})/([0-9]{2})(?![\w/-]|[.,][0-9])")
_TIME = re.compile(
    r"(?<![\w:.,/])([01]?[0-9]|2[0-3])(?::([0-5][0-9])(?::([0-5][0-9]))?(?![0-9:])|h([0-5][0-9])(?![0-9])|(?=h(?:s|rs)?(?!\w))|(?=[ ]?[ap]\.?m\b))"
    r"(?:[ ]?h(?:s|rs)?(?!\w)|[ ]?([ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(?<![\w.,])([0-9]{1,3})(?:\.?([ºª°])(?![CF])|(st|nd|rd|th)\b)")
_TIMES = re.compile(r"(?<![\w.,])([0-9]{1,3})[xX](?!\w)")
_CLEAN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r" +([.,;:!?])"), r"\1"),
    (re.compile(r"[ \t]+$|^[ \t]+", re.MULTILINE), ""),
    (re.compile(r"\n{3,}"), "\n\n"),
)


def aloud(text: str, locale: str) -> str:
    """``text`` (Markdown) as it is to be spoken in ``locale`` (``pt-BR``, ``es-MX``, ``en``). Never raises.

    Every group of the figures 0-9 is read, except behind ``?`` and ``#`` of a link.
    """
    return _reader(locale[:20]).read(text)


@lru_cache(maxsize=64)
def _reader(locale: str) -> _Reader:
    return _Reader(tongue(locale), region(locale))


class _Reader:
    def __init__(self, words: Tongue, country: str) -> None:
        self.words = words
        self.point = words.code == "en" or (words.code == "es" and country in POINT_COUNTRIES)
        self.decimal = words.dot if self.point and words.code == "es" else words.decimal
        self.month_first = words.code == "en" and country in {"", "US"}
        scales = "|".join(words.scales)
        marks = "|".join(sorted(map(re.escape, words.money), key=len, reverse=True))
        units = "|".join(sorted(map(re.escape, words.units), key=len, reverse=True))
        self.passes: tuple[tuple[re.Pattern[str], Callable[[Match[str]], str]], ...] = (
            (_URL, self._url),
            (_EMAIL, lambda found: self._address(found[0])),
            (_CODE, lambda found: self._digits(found[0])),
            (_ISO, lambda found: self._date(found, found[3], found[2], found[1])),
            (_DATE, self._written_date),
            (_PHONE, lambda found: self._digits(found[0])),
            (
                re.compile(rf"(?<!\w)(-?)({marks})[ \u00a0]?(-?)({_NUMBER})(?!\w)(?:[ \u00a0]({scales})\b)?"),
                lambda found: self._price(found[1] + found[3], found[2], found[4], found[5]),
            ),
            (
                re.compile(rf"(?<![\w.,])(-?)({_NUMBER})[ \u00a0]?({marks})(?![\w])"),
                lambda found: self._price(found[1], found[3], found[2], None),
            ),
            (_TIME, self._time),
            (_DAY, self._day),
            (
                re.compile(rf"(?<![0-9])({_NUMBER})[ \u00a0]?%"),
                lambda found: f"{self._number(found[1])} {words.percent}",
            ),
            (_ORDINAL, self._ordinal),
            (_TIMES, lambda found: self._counted(found[1], words.times)),
            (
                re.compile(rf"(?<![\w.,])({_NUMBER})[ \u00a0]?({units})(?![\w²³/])"),
                lambda found: self._counted(found[1], words.units[found[2]]),
            ),
            (re.compile(rf"(?<=[^\W\d_])-?({_NUMBER})|(?<![0-9])({_NUMBER})(?=[^\W\d_])"), self._glued),
            (re.compile(rf"(?<![\w)])[-−]({_NUMBER})"), lambda found: f"{words.minus} {self._number(found[1])}"),
            (re.compile(_NUMBER), self._apart),
            (
                re.compile("|".join(map(re.escape, words.signs))),
                lambda found: f" {words.signs[found[0]]} ",
            ),
        )

    def read(self, text: str) -> str:
        text = _KEYCAP.sub(r" \1 ", text)
        text = _EMOJI.sub(" ", text)
        for pattern, shown in _MARKDOWN:
            text = pattern.sub(shown, text)
        for pattern, said in self.passes:
            text = pattern.sub(said, text)
        for pattern, shown in _CLEAN:
            text = pattern.sub(shown, text)
        return text.strip()

    # ── numbers ───────────────────────────────────────────────────────────────────────────────────

    def _split(self, written: str) -> tuple[str, str] | None:
        """Whole part and decimals of a number as it is written; None when its marks make no number (``1.2.3``)."""
        marks = re.findall(r"[.,]", written)
        if not marks:
            return written, ""
        last = marks[-1]
        groups = re.split(r"[.,]", written)
        thousands = all(len(group) == 3 for group in groups[1:]) and 1 <= len(groups[0]) <= 3 and groups[0] != "0"
        if len(set(marks)) == 1:
            if thousands and (len(marks) > 1 or last != ("." if self.point else ",")):
                return "".join(groups), ""
            return (groups[0], groups[1]) if len(marks) == 1 else None
        *whole, fraction = groups
        grouped = all(len(group) == 3 for group in whole[1:]) and len(whole[0]) <= 3
        return ("".join(whole), fraction) if grouped and marks.count(last) == 1 else None

    def _number(self, written: str, noun: Noun | None = None) -> str:
        parts = self._split(written)
        if parts is None:
            return self._spelled(written)
        whole, fraction = parts
        said = self._whole(whole, noun if not fraction else None, grouped=len(whole) != len(written))
        if not fraction:
            return said
        zeros = len(fraction) - len(fraction.lstrip("0"))
        if self.words.code == "en" or zeros == len(fraction) or len(fraction) > 3:
            tail = digits(fraction, self.words.code)
        else:
            tail = f"{digits(fraction[:zeros], self.words.code)} {cardinal(int(fraction), self.words.code)}".strip()
        return f"{said} {self.decimal} {tail}"

    def _whole(self, whole: str, noun: Noun | None = None, *, grouped: bool = False) -> str:
        code = len(whole) > 15 if grouped else len(whole) >= _LONG
        if code or (len(whole) > 1 and whole.startswith("0")):
            return digits(whole, self.words.code)
        return cardinal(int(whole), self.words.code, feminine=bool(noun and noun.feminine), counts=noun is not None)

    def _counted(self, written: str, noun: Noun) -> str:
        parts = self._split(written)
        one = parts is not None and parts[0].lstrip("0") == "1" and not parts[1].strip("0")
        return f"{self._number(written, noun)} {noun.one if one else noun.many}"

    def _digits(self, written: str) -> str:
        """The groups of a code or phone number, digit by digit, a pause between them."""
        plus = f"{self.words.plus} " if "+" in written else ""
        return plus + ", ".join(digits(group, self.words.code) for group in re.findall("[0-9]+", written))

    def _spelled(self, written: str) -> str:
        """Groups and what stands between them, as in a version or an address of the network."""
        names = {".": self.words.dot, ",": self.words.decimal}
        return " ".join(
            self._whole(part) if part[0] in "0123456789" else names[part]
            for part in re.findall(r"[0-9]+|[.,]", written)
        )

    def _glued(self, found: Match[str]) -> str:
        """Figures that touch letters belong to a code."""
        written = found[1] or found[2]
        return f" {', '.join(digits(group, self.words.code) for group in re.findall('[0-9]+', written))} "

    def _apart(self, found: Match[str]) -> str:
        """A number, kept apart from a word made of the number beside it (``24/7``, ``10-20``)."""
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        left = " " if before and not before.isspace() and before not in "([\"'“«$" else ""
        right = " " if after and (after.isalnum() or after in "-/") else ""
        return f"{left}{self._number(found[0])}{right}"

    def _ordinal(self, found: Match[str]) -> str:
        return ordinal(int(found[1]), self.words.code, feminine=found[2] == "ª")

    # ── money, times, dates ───────────────────────────────────────────────────────────────────────

    def _price(self, sign: str, mark: str, written: str, scale: str | None) -> str:
        unit, small = self.words.money[mark]
        minus = f"{self.words.minus} " if sign else ""
        parts = self._split(written)
        if scale:
            link = "" if self.words.code == "en" or scale == "mil" else f" {self.words.of}"
            return f"{minus}{self._number(written)} {scale}{link} {unit.many}"
        if parts is None or len(parts[1]) > 2 or len(parts[0]) > 15:
            return f"{minus}{self._number(written)} {unit.many}"
        whole, cents = int(parts[0]), int(parts[1].ljust(2, "0"))
        said = []
        if whole or not cents:
            words = cardinal(whole, self.words.code, feminine=unit.feminine, counts=True)
            round_of = self.words.code != "en" and whole >= 10**6 and whole % 10**6 == 0
            link = f" {self.words.of} " if round_of else " "
            said.append(f"{words}{link}{unit.one if whole == 1 else unit.many}")
        if cents:
            words = cardinal(cents, self.words.code, counts=True)
            said.append(f"{words} {small.one if cents == 1 else small.many}")
        return minus + f" {self.words.conjunction} ".join(said)

    def _time(self, found: Match[str]) -> str:
        hour, minute = int(found[1]), int(found[2] or found[4] or 0)
        half = (found[5] or "").lower()
        said = self._english_time(hour, minute, half) if self.words.code == "en" else self._clock(hour, minute, half)
        if found[3]:
            link = "and" if self.words.code == "en" else self._and
            said += f" {link} {self._counted(str(int(found[3])), self.words.seconds)}"
        return said

    @property
    def _and(self) -> str:
        return "y" if self.words.code == "es" else "e"

    def _clock(self, hour: int, minute: int, half: str) -> str:
        if half and hour <= 12:
            hour = hour % 12 + (12 if half == "p" else 0)
        if not minute:
            if hour in {0, 12}:
                return self.words.midnight if hour == 0 else self.words.noon
            return self._counted(str(hour), self.words.hour)
        said = cardinal(hour, self.words.code, feminine=True) if hour else self.words.midnight
        return f"{said} {self._and} {cardinal(minute, self.words.code)}"

    def _english_time(self, hour: int, minute: int, half: str) -> str:
        if not minute and not half and hour in {0, 12}:
            return self.words.midnight if hour == 0 else self.words.noon
        if not half and (hour > 12 or hour == 0):
            half = "p" if hour else "a"
        words = [cardinal((hour - 1) % 12 + 1, "en")]
        if minute:
            words.append(f"oh {cardinal(minute, 'en')}" if minute < 10 else cardinal(minute, "en"))
        elif not half:
            words.append(self.words.hour.one)
        return " ".join(words) + (f" {half}.m." if half else "")

    def _written_date(self, found: Match[str]) -> str:
        first, second = (found[3], found[1]) if self.month_first and found[2] == "/" else (found[1], found[3])
        return self._date(found, first, second, found[4])

    def _day(self, found: Match[str]) -> str:
        first, second = (found[2], found[1]) if self.month_first else (found[1], found[2])
        return self._date(found, first, second, "")

    def _date(self, found: Match[str], day: str, month: str, year: str) -> str:
        """A day of the calendar; what is none (``31/02``, ``99/99``) is read as its numbers."""
        in_year = int(year) + (2000 if len(year) == 2 else 0) if year else 2000
        try:
            date(in_year, int(month), int(day))
        except ValueError:
            return f" {self.words.slash} ".join(self._whole(group) for group in re.findall("[0-9]+", found[0]))
        name = self.words.months[int(month) - 1]
        if self.words.code == "en":
            said = f"{name} {ordinal(int(day), 'en')}"
            return f"{said}, {cardinal(in_year, 'en')}" if year else said
        number = ordinal(1, self.words.code) if int(day) == 1 else cardinal(int(day), self.words.code)
        said = f"{number} {self.words.of} {name}"
        return f"{said} {self.words.of} {cardinal(in_year, self.words.code)}" if year else said

    # ── addresses ─────────────────────────────────────────────────────────────────────────────────

    def _url(self, found: Match[str]) -> str:
        written = found[0].rstrip(".,;:!?")
        shown = re.sub(r"^(?:https?://)?(?:www\.)?", "", re.split(r"[?#]", written)[0], flags=re.IGNORECASE)
        return self._address(shown.rstrip("/")) + found[0][len(written) :]

    def _address(self, written: str) -> str:
        """The parts of an address by their names: *flor ponto com ponto br barra pedido*."""
        names = {
            ".": self.words.dot,
            "/": self.words.slash,
            "@": self.words.at,
            "-": self.words.dash,
            "_": self.words.underscore,
            "+": self.words.plus,
        }
        return " ".join(
            digits(part, self.words.code) if part[0] in "0123456789" else names.get(part, part)
            for part in re.findall(r"[0-9]+|[^\W\d_]+|[^\w\s]|_", written)
        )
