"""Which conditional guidelines hold now, and what the assistant is told of them.

Pure: rows, a moment and a channel in; rules, reasons and text out. A row is the JSON that a version of the guidelines
keeps (see ``Rule.row``). Rules are part of the same version as the text, so that one number says everything a reply
obeyed, and rolling back brings back both.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

RULE_TOKENS = 1500
"""What conditional rules may take of a prompt, in estimated tokens; those always kept may exceed it."""
HEADING = "## When … then …"


@dataclass(frozen=True, slots=True)
class Near:
    """How near a "when" is to what was asked, 0..1: by its ``words``, by its ``meaning`` (None = no vectors were
    compared), and the ``score`` of both, which is never below that of the words."""

    score: float
    words: float
    meaning: float | None = None

    @property
    def why(self) -> str:
        """``words`` or ``meaning``, whichever said more; empty when neither said anything."""
        return ("meaning" if self.score - self.words > self.words else "words") if self.score > 0 else ""


Relevance = Callable[[Sequence[str]], Sequence[Near]]
"""How near each "when" is to what was asked, in order."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When something is so, then do something.

    ``number`` names it within the guidelines and stays through versions. Higher ``priority`` comes first. No
    ``channels`` = all of them, no ``specialists`` = whoever answers. ``begins`` and ``ends`` are whole days of the business's time zone, both included.
    ``always`` = kept whatever is trimmed. ``excludes`` are the numbers of rules that are left out when this one is in.

    ``calls`` a person, of the ``team`` named if one is. Where the customer's words hold all of one of ``words`` (as
    ``strict_topics`` reads them), the person is called whatever is answered; else the assistant judges by ``when``.
    """

    number: int
    when: str
    then: str
    priority: int = 50
    channels: tuple[str, ...] = ()
    begins: date | None = None
    ends: date | None = None
    active: bool = True
    always: bool = False
    excludes: tuple[int, ...] = ()
    specialists: tuple[str, ...] = ()
    calls: bool = False
    team: str = ""
    words: tuple[str, ...] = ()

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Rule:
        """The rule of a stored row."""
        return cls(
            number=int(row["number"]),
            when=row["when"],
            then=row["then"],
            priority=row.get("priority", 50),
            channels=tuple(row.get("channels", ())),
            specialists=tuple(row.get("specialists", ())),
            begins=date.fromisoformat(row["begins"]) if row.get("begins") else None,
            ends=date.fromisoformat(row["ends"]) if row.get("ends") else None,
            active=row.get("active", True),
            always=row.get("always", False),
            excludes=tuple(row.get("excludes", ())),
            calls=row.get("calls", False),
            team=row.get("team", ""),
            words=tuple(row.get("words", ())),
        )

    def row(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "number": self.number,
            "when": self.when,
            "then": self.then,
            "priority": self.priority,
            "channels": list(self.channels),
            "begins": self.begins.isoformat() if self.begins else None,
            "ends": self.ends.isoformat() if self.ends else None,
            "active": self.active,
            "always": self.always,
            "excludes": list(self.excludes),
            **({"specialists": list(self.specialists)} if self.specialists else {}),  # rows of old versions have none
            **({"calls": True, "team": self.team, "words": list(self.words)} if self.calls else {}),
        }

    def told(self) -> str:
        """The line the assistant reads."""
        told = f"- When {_one_line(self.when)}, then {_one_line(self.then)}"
        if not self.calls:
            return told
        return f"{told}; and call bring_in_person{f' with the team “{_one_line(self.team)}”' if self.team else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of a rule. ``reason``: ``always``, ``fits``, ``words`` or ``meaning`` (why it is ``near`` to the question,
    where not all fit); left out: ``off``, ``not_yet``, ``over``, ``channel``, ``specialist``, ``excluded`` (``by`` says which rule did),
    ``unrelated`` (others were nearer to the question), ``budget``."""

    rule: Rule
    chosen: bool
    reason: str
    tokens: int = 0
    by: int = 0
    near: Near | None = None

    def trace(self) -> dict[str, Any]:
        """For the trace of a reply."""
        return {
            "rule": self.rule.number,
            "when": self.rule.when,
            "chosen": self.chosen,
            "reason": self.reason,
            "tokens": self.tokens,
            **({"by": self.by} if self.by else {}),
            **({"score": round(self.near.score, 3)} if self.near is not None else {}),
            **(
                {"words": round(self.near.words, 3), "meaning": round(self.near.meaning, 3)}
                if self.near is not None and self.near.meaning is not None
                else {}
            ),
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules, or one (``second`` 0), that do not go together.

    ``kind``: ``contradiction`` (same when, different then, at the same time and place), ``mutual`` (each excludes the
    other: only the first is ever used), ``powerless`` (excludes one that comes before it), ``unknown`` (excludes one
    that does not exist), ``dates`` (ends before it begins).
    """

    kind: str
    first: int
    second: int = 0


def choose(
    rows: Iterable[Mapping[str, Any] | Rule],
    now: datetime,
    channel: str,
    budget: int = RULE_TOKENS,
    *,
    specialist: str = "",
    relevance: Relevance | None = None,
) -> tuple[Choice, ...]:
    """Every rule with what became of it, in the order of consideration.

    ``now`` in the business's time zone. Always-kept rules are considered first, then by priority, then as written; a
    rule is left out when one already chosen excludes it, or when it no longer fits ``budget`` (a shorter one after it
    may). Those always kept count against the budget but are never left out for it.

    With ``relevance``, rules that do not fit the budget all together are considered by their nearness to the question
    instead: of two that exclude each other the nearer one stays, and those that have nothing to do with the question
    fill what room is left, by priority.
    """
    rules = ordered(_rules(rows))
    scopes = {id(rule): _out_of_scope(rule, now.date(), channel, specialist) for rule in rules}
    sizes = {id(rule): tokens(rule.told()) + 1 for rule in rules}
    fitting = [rule for rule in rules if not scopes[id(rule)]]
    nearness: dict[int, Near] = {}
    if relevance is not None and sum(sizes[id(rule)] for rule in fitting) > budget:
        nearness = dict(zip(map(id, fitting), relevance([rule.when for rule in fitting]), strict=True))
    left = budget
    made: list[Choice] = []
    chosen: list[Rule] = []
    # Stable: of equally near ones the order stays, which is by priority.
    for rule in sorted(rules, key=lambda rule: (not rule.always, -_score(nearness.get(id(rule))))):
        size, near = sizes[id(rule)], nearness.get(id(rule))
        reason, by = scopes[id(rule)], 0
        if not reason:
            by = next((one.number for one in chosen if _excludes(one, rule, ranked=bool(nearness))), 0)
            full = "unrelated" if nearness else "budget"
            reason = "excluded" if by else (full if size > left and not rule.always else "")
        if reason:
            made.append(Choice(rule, False, reason, size, by, near))
        else:
            left -= size
            chosen.append(rule)
            made.append(Choice(rule, True, _why(rule, near), size, 0, near))
    return tuple(made)


def _excludes(one: Rule, rule: Rule, *, ranked: bool) -> bool:
    """Whether a chosen rule leaves this one out. Where the nearer comes first, the other way round does too: two that
    exclude each other are never told together."""
    after = ranked and not one.always and one.priority <= rule.priority
    return rule.number in one.excludes or (after and one.number in rule.excludes)


def _why(rule: Rule, near: Near | None) -> str:
    if rule.always:
        return "always"
    return (near.why if near is not None else "") or "fits"


def _score(near: Near | None) -> float:
    return near.score if near is not None else 0.0


def compose(text: str, choices: Sequence[Choice]) -> str:
    """The guidelines of one turn: the whole text, then the rules that were chosen."""
    lines = [choice.rule.told() for choice in choices if choice.chosen]
    return "\n\n".join(filter(None, (text.rstrip(), "\n".join([HEADING, *lines]) if lines else "")))


def conflicts(rows: Iterable[Mapping[str, Any] | Rule]) -> list[Conflict]:
    """What an editor should look at again. Rules switched off conflict with nothing."""
    rules = [rule for rule in ordered(_rules(rows)) if rule.active]
    place = {rule.number: index for index, rule in enumerate(rules)}
    known = {rule.number for rule in _rules(rows)}
    found: list[Conflict] = []
    for index, rule in enumerate(rules):
        if rule.begins and rule.ends and rule.ends < rule.begins:
            found.append(Conflict("dates", rule.number))
        for other in rule.excludes:
            if other not in known or other == rule.number:
                found.append(Conflict("unknown", rule.number, other))
            elif other in place and rule.number in rules[place[other]].excludes:
                if place[other] > index:
                    found.append(Conflict("mutual", rule.number, other))
            elif place.get(other, index) < index and _meet(rule, rules[place[other]]):
                found.append(Conflict("powerless", rule.number, other))
        found += [
            Conflict("contradiction", rule.number, other.number)
            for other in rules[index + 1 :]
            if plain(rule.when) == plain(other.when)
            and plain(rule.then) != plain(other.then)
            and _meet(rule, other)
            and other.number not in rule.excludes
        ]
    return found


def ordered(rules: Iterable[Rule]) -> list[Rule]:
    """Always kept first, then by priority, then as written."""
    return sorted(rules, key=lambda rule: (not rule.always, -rule.priority))


def plain(text: str) -> str:
    """Without case, accents, punctuation and extra spaces: what makes two conditions the same."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.findall(r"\w+", "".join(each for each in letters if not unicodedata.combining(each))))


def tokens(text: str) -> int:
    """Estimated size, on the high side: about 3.5 bytes a token in Portuguese, Spanish and English."""
    return math.ceil(len(text.encode()) / 3.5)


def _rules(rows: Iterable[Mapping[str, Any] | Rule]) -> list[Rule]:
    return [row if isinstance(row, Rule) else Rule.read(row) for row in rows]


def _out_of_scope(rule: Rule, today: date, channel: str, specialist: str) -> str:
    if not rule.active:
        return "off"
    if rule.begins and today < rule.begins:
        return "not_yet"
    if rule.ends and today > rule.ends:
        return "over"
    if rule.channels and channel not in rule.channels:
        return "channel"
    return "specialist" if rule.specialists and specialist not in rule.specialists else ""


def _meet(one: Rule, other: Rule) -> bool:
    days = max(one.begins or date.min, other.begins or date.min) <= min(one.ends or date.max, other.ends or date.max)
    return days and _share(one.channels, other.channels) and _share(one.specialists, other.specialists)


def _share(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return not some or not others or bool(set(some) & set(others))


def _one_line(text: str) -> str:
    return " ".join(text.split())
