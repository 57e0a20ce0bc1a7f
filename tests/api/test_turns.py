"""A program asks why a reply is what it is: of its own inbox, and of no other."""

from __future__ import annotations

import pytest
from tests.api.conftest import World, shop

from prosa.agents import runner
from prosa.business.models import Business
from prosa.conversations.traces.trace import Trace
from prosa.knowledge.models import ApprovedAnswer


async def test_the_trace_of_an_answer(world: World):
    world.think = runner.run
    await ApprovedAnswer.objects.acreate(
        business=await Business.objects.aget(slug="aurora"),
        question="Do you open on Sunday?",
        answer="Yes, from nine to one.",
    )
    answered = (await world.ask("Do you open on Sunday?")).json()
    response = await world.client.get(f"/api/v1/turns/{answered['turn_id']}", headers={"x-api-key": world.key})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    told = Trace.model_validate(response.json())
    assert [said.text for said in told.question] == ["Do you open on Sunday?"]
    assert [said.text for said in told.replies] == ["Yes, from nine to one."]
    assert (told.outcome, told.offline, told.guideline_version) == ("answered", "approved", 1)
    assert [each.question for each in told.approved] == ["Do you open on Sunday?"]
    assert {gate.gate for gate in told.gates} >= {"owner", "newest"}
    assert {stage.name for stage in told.stages} >= {"begin", "model", "total"}


@pytest.fixture
def stranger(inbox_and_key: object) -> str:
    """Another business's key."""
    return shop("other")[1]


async def test_nobody_elses(stranger: str, world: World):
    answered = (await world.ask("hello")).json()
    path = f"/api/v1/turns/{answered['turn_id']}"
    assert (await world.client.get(path, headers={"x-api-key": stranger})).status_code == 404
    assert (await world.client.get(path)).status_code == 401
    for unknown in ("999999999", "99999999999999999999"):
        assert (await world.client.get(f"/api/v1/turns/{unknown}", headers={"x-api-key": world.key})).status_code == 404
    assert (await world.client.post(path, headers={"x-api-key": world.key})).status_code == 405
