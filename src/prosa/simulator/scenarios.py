"""Small conversations as a script: what the customer says, and what the answer must hold. For tests, docs and benchmarks.

They fit the demo business of ``prosa up``. :func:`play` needs a running server and its world.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from prosa.contracts import Json
from prosa.simulator import customer as customers
from prosa.simulator.world import Bubble, Customer, Happening, Line, World


@dataclass(frozen=True, slots=True)
class Say:
    """The customer writes, possibly in fragments one after the other. ``pause``: seconds between them."""

    texts: tuple[str, ...]
    pause: float = 0.3


@dataclass(frozen=True, slots=True)
class Expect:
    """An answer comes within ``seconds`` and its text, case aside, holds one of ``any_of`` (empty: whatever it says)."""

    any_of: tuple[str, ...] = ()
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps of one customer on one line."""

    name: str
    steps: tuple[Say | Expect, ...]


@dataclass(slots=True)
class Outcome:
    """What happened: the texts answered, milliseconds from the last question to each, and what was missed."""

    answers: list[str] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("opening-hours", (Say(("Oi! Qual é o horário de funcionamento?",)), Expect(("h",)))),
    Scenario(
        "fragments",
        (
            Say(("oi", "tudo bem?", "queria saber", "quanto tempo demora a entrega")),
            Expect(("entrega", "dias", "prazo")),
        ),
    ),
    Scenario("a-person-please", (Say(("Quero falar com um atendente",)), Expect())),
    Scenario("unknown", (Say(("Vocês consertam motores de popa?",)), Expect())),
    Scenario("spanish", (Say(("¿Hacen envíos a otras ciudades?",)), Expect())),
    Scenario(
        "follow-up",
        (Say(("Qual é o horário de funcionamento?",)), Expect(), Say(("E para trocar um produto?",)), Expect()),
    ),
)


async def play(world: World, line: Line, scenario: Scenario, who: Customer) -> Outcome:
    """Let ``who`` go through the steps on ``line``; never raises for an answer that is missing or different."""
    outcome = Outcome()
    seen: set[str] = set()
    asked = time.monotonic()
    async with world.listen() as heard:
        for step in scenario.steps:
            if isinstance(step, Say):
                await _say(world, line, who, step)
                asked = time.monotonic()
                continue
            answer = await _answer(heard, line, who, seen, step.seconds)
            if answer is None:
                outcome.missed.append(f"{scenario.name}: no answer within {step.seconds:g} s")
                continue
            seen.add(answer["id"])
            outcome.answers.append(answer["text"])
            outcome.waits_ms.append((time.monotonic() - asked) * 1000)
            if step.any_of and not any(part.casefold() in answer["text"].casefold() for part in step.any_of):
                outcome.missed.append(f"{scenario.name}: {answer['text']!r} holds none of: {', '.join(step.any_of)}")
    return outcome


async def _say(world: World, line: Line, who: Customer, step: Say) -> None:
    for number, text in enumerate(step.texts):
        if number:
            await asyncio.sleep(step.pause)
        identity = customers.message_id(line, secrets.token_hex(16), media=False)
        await customers.say(world, line, who, Bubble(identity, "customer", "text", text, "sending"))


async def _answer(
    heard: asyncio.Queue[Happening], line: Line, who: Customer, seen: set[str], seconds: float
) -> Json | None:
    """The next new bubble of the business in this thread."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                data = (await heard.get()).data
                bubble: Json = data.get("bubble") or {}
                ours = data.get("line") == line.ref and data["customer"]["id"] == who.id
                if ours and bubble.get("author") == "business" and bubble["id"] not in seen:
                    return bubble
    except TimeoutError:
        return None
