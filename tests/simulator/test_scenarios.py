"""A scripted conversation says what it says and tells what it missed."""

from __future__ import annotations

import asyncio
from typing import Any

from prosa.simulator.scenarios import SCENARIOS, Expect, Say, Scenario, play
from prosa.simulator.world import Bubble, Customer, new_wamid

ANA = Customer("5511988887777", "Ana", phone="5511988887777")


def answering(stage: Any, *texts: str) -> None:
    """A business that answers each webhook with the next text."""
    left = list(texts)
    hear = stage.door.heard

    async def watch() -> None:
        said = 0
        while left:
            await asyncio.sleep(0.01)
            while said < len(hear) and left:
                said += 1
                stage.world.put(
                    stage.world.thread(stage.whatsapp, ANA), Bubble(new_wamid(), "business", "text", left.pop(0))
                )

    stage.world.spawn(watch())


async def test_answers_are_matched_and_misses_told(stage: Any) -> None:
    answering(stage, "Abrimos às 9h", "Não sei")
    steps = (Say(("horário?",)), Expect(("9H",)), Say(("entrega?",)), Expect(("dias",)))
    outcome = await play(stage.world, stage.whatsapp, Scenario("two", steps), ANA)
    assert outcome.answers == ["Abrimos às 9h", "Não sei"]
    assert [miss.split(":")[0] for miss in outcome.missed] == ["two"]
    assert "dias" in outcome.missed[0]
    assert len(stage.door.heard) == 2


async def test_silence_is_told(stage: Any) -> None:
    outcome = await play(stage.world, stage.whatsapp, Scenario("quiet", (Say(("oi",)), Expect((), 0.05))), ANA)
    assert (outcome.answers, len(outcome.missed)) == ([], 1)


def test_every_scenario_ends_with_an_expectation() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert all(isinstance(scenario.steps[-1], Expect) for scenario in SCENARIOS)
