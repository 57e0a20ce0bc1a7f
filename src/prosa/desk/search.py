"""Finding a conversation by what was said in it, or by who it is with. Accents, case and endings of words do not matter.

Messages are filed for the search in a table of its own (:class:`~prosa.desk.models.Line`), never while they arrive: whoever
searches files what is new first, and a chore does so every minute.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from prosa import sql
from prosa.business.models import Business
from prosa.knowledge.learned import Mark
from prosa.queue import periodic

queries = sql.load(__file__, "search.sql")

MARK = "desk search"
BATCH = 2_000
"""Message numbers filed in one transaction."""
MARGIN = 500
"""Numbers before the mark that are looked at again: rows commit in another order than their numbers."""
LATE_MARGIN = 20_000
"""The same for the chore: a transaction may have stood still for long, and what it wrote must be found all the same."""
HEARD_MARGIN = 20_000
"""How far back transcripts are looked for that came later than their message."""
BATCHES_AT_ONCE = 2
"""What a person who searches waits for; the rest is the chore's."""
BATCHES_A_MINUTE = 60
MOST = 50
MOST_EACH = 10
"""Conversations of one contact."""
MOST_WORDS = 8
LONGEST = 200
LEAST_DIGITS = 4
"""Shorter pieces of numbers are in every number."""
LEAST_STEM = 4
BEFORE, AFTER = 36, 110
"""Characters shown around the first word found."""

_MARKS = "-–—_.,;:/\\@#&+*~|()[]{}<>!?¡¿\"'`´’‘“”«»=%$€\u00a0\t\n\r"
_PLURALS = (("ao", "oes"), ("al", "ais"), ("el", "eis"), ("ol", "ois"), ("m", "ns"))
"""Portuguese plurals whose stems differ: *cartão, cartões; papel, papéis; homem, homens*."""
_WORD = re.compile(r"[^\W_]+")
_NOT_DIGITS = re.compile(r"[\s().+\-/]+")


@dataclass(frozen=True, slots=True)
class Found:
    """``ids`` of conversations; ``lines`` shows the message or note that matched, with the words marked, by conversation, and
    ``places`` where it is: a message's number, or ``n`` and a note's.

    ``whole`` is False while older messages are still being filed; ``full`` when there are more than are shown.
    """

    ids: list[int] = field(default_factory=list)
    lines: dict[int, SafeString] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    whole: bool = True
    full: bool = False


def search(business: Business, asked: str) -> Found:
    """The conversations of the business that ``asked`` may mean; none when it holds no word or number."""
    words = [fold(word) for word in _WORD.findall(asked[:LONGEST])][:MOST_WORDS]
    if not words:
        return Found()
    whole = fill(BATCHES_AT_ONCE, wait=True)
    with connection.cursor() as hand:
        hand.execute(queries.stems.decode(), {"words": words})
        forms = {word: _forms(word, stems) for word, *stems in hand.fetchall()}
        meant: dict[str, str | int] = {
            "asked": " & ".join("(" + " | ".join(f"'{form}':*" for form in forms[word]) + ")" for word in words),
            "business": f"'business:{business.pk}'",
            "business_id": business.pk,
            "most": MOST + 1,
        }
        hand.execute(queries.messages.decode(), meant)
        said = hand.fetchall()
        hand.execute(queries.notes.decode(), meant)
        noted = hand.fetchall()
        hand.execute(
            queries.contacts.decode(),
            {
                "business_id": business.pk,
                "names": [f"%{word}%" for word in words],
                "numbers": [f"phone:%{number}%" for number in _numbers(asked)],
                "keys": [f"%:%{asked.strip().lower()}%"] if re.fullmatch(r"[\w.+-]*@[\w.-]*", asked.strip()) else [],
                "most": MOST,
                "each": MOST_EACH,
            },
        )
        people = [pk for (pk,) in hand.fetchall()]
    every = [form for word in words for form in forms[word]]
    hits = [
        (at, pk, str(message), " ".join(filter(None, (text, spoken)))) for pk, message, at, text, spoken in said[:MOST]
    ]
    hits += [(at, pk, f"n{note}", text) for pk, note, at, text in noted[:MOST]]
    latest: dict[int, tuple[str, str]] = {}
    for _at, pk, place, text in sorted(hits, reverse=True):
        latest.setdefault(pk, (place, text))
    return Found(
        list(dict.fromkeys([*people, *latest])),
        {pk: _line(place, marked(text, every)) for pk, (place, text) in latest.items()},
        {pk: place for pk, (place, _text) in latest.items()},
        whole,
        max(len(said), len(noted), len(people) + 1) > MOST,
    )


def _line(place: str, shown: SafeString) -> SafeString:
    return format_html("<b>{}</b> {}", _("Note:"), shown) if place.startswith("n") else shown


def fold(text: str) -> str:
    """Lower case without accents, of the same length, so that what is found can be shown where it stands."""
    return "".join((unicodedata.normalize("NFKD", mark)[:1] or mark).lower()[:1] or mark for mark in text)


def _forms(word: str, stems: list[list[str] | None]) -> list[str]:
    found = {word}
    found.update(
        word.removesuffix(end) + plural for end, plural in _PLURALS if word.endswith(end) and len(word) >= LEAST_STEM
    )
    for stem in stems:
        found |= {each for each in stem or () if len(each) >= LEAST_STEM and _WORD.fullmatch(each)}
    # A beginning finds everything a longer one does.
    return sorted(each for each in found if not any(each != other and each.startswith(other) for other in found))


def _numbers(asked: str) -> list[str]:
    """The digits meant as a telephone number, also with the ninth digit Brazilian mobiles got."""
    digits = _NOT_DIGITS.sub("", asked)
    if not digits.isascii() or not digits.isdecimal() or len(digits) < LEAST_DIGITS:
        return []
    digits = digits.lstrip("0")
    found = [digits]
    if len(digits) in (10, 12):
        found.append(f"{digits[:-8]}9{digits[-8:]}")
    return [each for each in found if len(each) >= LEAST_DIGITS]


def marked(text: str, forms: list[str]) -> SafeString:
    """The piece of a message around the first word found; what was found is in ``<mark>``, everything else escaped."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    pattern = re.compile(r"(?<![^\W_])(?:" + "|".join(map(re.escape, forms)) + r")[^\W_]*")
    folded = fold(text)
    first = pattern.search(folded)
    start = max(0, first.start() - BEFORE) if first else 0
    if start:
        start = folded.find(" ", start, first.start() if first else None) + 1 or start
    end = (first.end() if first else 0) + AFTER
    pieces, at = [], start
    for hit in pattern.finditer(folded, start, min(end, len(text))):
        pieces += [escape(text[at : hit.start()]), "<mark>", escape(text[hit.start() : hit.end()]), "</mark>"]
        at = hit.end()
    shown = ("…" if start else "") + "".join(pieces) + escape(text[at:end]) + ("…" if end < len(text) else "")
    return mark_safe(shown)  # noqa: S308  every piece is escaped above


def fill(batches: int, *, wait: bool = False, margin: int = MARGIN) -> bool:
    """File messages that are not yet, the oldest first, at most so many batches. True when none are left.

    ``wait`` for somebody who is just doing so; else they are left to it. ``margin``: how many numbers before the mark the first
    batch looks at again.
    """
    Mark.objects.get_or_create(name=MARK, defaults={"position": 0})
    for batch in range(batches):
        with transaction.atomic(), connection.cursor() as hand:
            hand.execute((queries.mark if wait else queries.mark_if_free).decode())
            found = hand.fetchone()
            if found is None:
                return True
            hand.execute(queries.ahead.decode(), {"position": found[0]})
            newest, first = hand.fetchone()
            through = min(max(found[0], first - 1) + BATCH, newest)
            values: dict[str, Any] = {"through": through, "marks": _MARKS, "blanks": " " * len(_MARKS)}
            hand.execute(queries.fill.decode(), values | {"after": found[0] - (MARGIN if batch else margin)})
            hand.execute(queries.hear.decode(), values | {"after": found[0] - HEARD_MARGIN})
            hand.execute(queries.notes_fill.decode(), {"marks": _MARKS, "blanks": " " * len(_MARKS)})
            hand.execute(queries.moved.decode(), {"through": through})
        if through >= newest:
            return True
    return False


@periodic("* * * * *")
def file_for_search() -> None:
    """Keep up with what is said, so that who searches need not wait."""
    fill(BATCHES_A_MINUTE, margin=LATE_MARGIN)
