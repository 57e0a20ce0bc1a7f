"""Who answers a turn: which specialist, with which rules and tools; and what is kept of that when the answer is sent.

No model is asked. The specialist a conversation has answers on; where it has none, the customer's words choose one,
else the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from prosa.agents import memory, offline, specialists
from prosa.business import guidance
from prosa.contracts import Caller, Json, Specialist, Tool, Turn, TurnResult
from prosa.conversations.acts import offers
from prosa.conversations.guidelines import relevance, topics

_NO_ROOM = frozenset({"budget", "unrelated"})
"""Why a rule in force is not told: there was no room. Whom it calls is called all the same."""
FEW_WORDS = 4
"""A question as short as this ("e o frete?") is read together with what the customer wrote before it."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The turn as its specialist answers it. ``weighed``: every rule for each specialist, with why it was told or not.

    ``keep``: the specialist the conversation stays with from this answer on; empty for none, None = as it is. ``text`` is
    the guidelines without ``rules``; ``weighed_by`` says for the trace how rules were chosen, where not all fit.
    """

    turn: Turn
    weighed: dict[str, tuple[guidance.Choice, ...]] = field(default_factory=dict)
    keep: str | None = None
    text: str = ""
    rules: Sequence[Any] = ()
    weighed_by: Json = field(default_factory=dict)


def cast(
    turn: Turn,
    caller: Caller,
    rows: Sequence[Sequence[str]],
    current: str,
    rules: Sequence[Any],
    *,
    own_models: bool,
    fresh: bool = False,
) -> Cast:
    """Give a turn to a specialist.

    ``rows``: the active ones in order, each (name, about, instructions, keywords, model). ``current`` is who has the
    conversation, if anybody; in a ``fresh`` talk nobody, whoever had the one before. ``turn.guidelines`` is the whole text, to which each one's rules are added. Where money is
    being saved they do not bring ``own_models``.
    """
    near = relevance.to(asked(turn))
    tools = offers.made(caller)
    weighed: dict[str, tuple[guidance.Choice, ...]] = {}

    def ruled(name: str) -> str:
        weighed[name] = guidance.choose(rules, turn.now, turn.channel, specialist=name, relevance=near)
        return guidance.compose(turn.guidelines, weighed[name])

    if not rows:
        played = replace(turn, guidelines=ruled(""), tools=(*turn.tools, *(tool for _, tool in tools)))
        return Cast(played, weighed, None, turn.guidelines, rules)
    shared = tuple(tool for offer, tool in tools if not offer.specialists)
    turn_ = replace(turn, tools=(*turn.tools, *shared))
    if len(rows) == 1:  # its own words only: of being one among others there is nothing to tell
        name, _about, instructions, _keywords, model = rows[0]
        alone = replace(
            turn_,
            specialist=name,
            role=instructions,
            guidelines=ruled(name),
            tools=(*turn_.tools, *_own(tools, name)),
            model=(own_models and model) or turn.model,
        )
        return Cast(alone, weighed, None, turn.guidelines, rules)
    everyone = tuple(
        specialists.complete(Specialist(name, about, instructions, "", _own(tools, name), "", _words(keywords)))
        for name, about, instructions, keywords, _ in rows
    )
    everyone = tuple(
        replace(each, guidelines=ruled(each.name), model=(row[4] or turn.model) if own_models else "")
        for each, row in zip(everyone, rows, strict=True)
    )
    known = {each.name: each for each in everyone}
    chosen = current if current in known else specialists.triage(memory.question(turn.question), everyone)
    played = specialists.played(replace(turn_, specialists=everyone), known[chosen] if chosen else everyone[0])
    told = bool(turn.question) and (bool(chosen) or not offline.greets(turn))
    stays = played.specialist if told and played.specialist != current else None
    return Cast(played, weighed, "" if fresh and stays is None else stays, turn.guidelines, rules)


def calls(found: Cast | None, said: str) -> guidance.Rule | None:
    """The first rule that calls a person for certain on these words of the customer, of those that are in force here."""
    if found is None:
        return None
    for choice in found.weighed.get(found.turn.specialist, ()):
        rule = choice.rule
        if rule.calls and rule.words and (choice.chosen or choice.reason in _NO_ROOM) and _holds(rule.words)(said):
            return rule
    return None


@lru_cache(maxsize=256)
def _holds(words: tuple[str, ...]) -> Callable[[str], str]:
    return topics.strict("; ".join(words)) or (lambda _said: "")


def ranked(found: Cast) -> tuple[str, ...]:
    """Every "when" that was weighed against the question, each once; empty where all rules fit."""
    choices = (choice for chosen in found.weighed.values() for choice in chosen if choice.near is not None)
    return tuple(dict.fromkeys(choice.rule.when for choice in choices))


def chosen_again(found: Cast, near: guidance.Relevance) -> Cast:
    """The same turn with its rules chosen by another nearness."""
    turn = found.turn
    weighed = {
        name: guidance.choose(found.rules, turn.now, turn.channel, specialist=name, relevance=near)
        for name in found.weighed
    }
    told = {name: guidance.compose(found.text, choices) for name, choices in weighed.items()}
    everyone = tuple(replace(each, guidelines=told[each.name]) for each in turn.specialists)
    turn = replace(turn, guidelines=told[turn.specialist], specialists=everyone)
    return replace(found, turn=turn, weighed=weighed)


def left(found: Cast | None, result: TurnResult | None, outcome: str) -> dict[str, Any]:
    """For ``finish``: who has the conversation from now on, and the line about it. Nothing unless the answer is sent."""
    if found is None or result is None or outcome != "answered":
        return {"specialist": None, "transfer": None}
    moved = result.transfer
    line = {"from": moved.origin, "to": moved.to, "reason": moved.reason} if moved else None
    return {
        "specialist": moved.to if moved else found.keep,
        "transfer": json.dumps(line) if line else None,
    }


def rules(found: Cast, result: TurnResult | None) -> list[Json]:
    """For the trace: every rule as it stood for whoever answered."""
    name = result.transfer.to if result is not None and result.transfer else found.turn.specialist
    return [choice.trace() for choice in found.weighed.get(name, ())]


def _own(tools: Sequence[tuple[Any, Tool]], name: str) -> tuple[Tool, ...]:
    return tuple(tool for offer, tool in tools if name in offer.specialists)


def _words(keywords: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in keywords.replace("\n", ",").split(","))))


def asked(turn: Turn) -> str:
    """What rules are weighed against: the question, a short one below what the customer wrote before it."""
    said = memory.question(turn.question)
    if len(said.split()) > FEW_WORDS:
        return said
    before = next((line.text for line in reversed(turn.history) if line.author == "customer"), "")
    return f"{before[:500]}\n{said}" if before else said
