"""The copilot for programs: of their own inbox's conversations, and of no others."""

from __future__ import annotations

import pytest
from tests.api.conftest import World, shop

from prosa.agents import runner
from prosa.business.models import Business
from prosa.conversations.models import Message
from prosa.knowledge.models import ApprovedAnswer


@pytest.fixture
def stranger(inbox_and_key: object) -> str:
    """Another business's key."""
    return shop("other")[1]


async def test_suggestion_and_summary(world: World):
    world.think = runner.run
    aurora = await Business.objects.aget(slug="aurora")
    await ApprovedAnswer.objects.acreate(
        business=aurora, question="Do you open on Sunday?", answer="Yes, from nine to one."
    )
    asked = (await world.ask("Do you open on Sunday?")).json()
    path, headers = f"/api/v1/conversations/{asked['conversation_id']}", {"x-api-key": world.key}
    before = await Message.objects.acount()
    suggestion = await world.client.post(f"{path}/suggestion", headers=headers)
    assert suggestion.status_code == 200
    assert suggestion.headers["Cache-Control"] == "no-store"
    assert suggestion.json() == {
        "text": "Yes, from nine to one.",
        "sources": [{"kind": "approved", "title": "Do you open on Sunday?", "url": ""}],
        "model": "offline",
        "known": True,
    }
    summary = (await world.client.post(f"{path}/summary", headers=headers)).json()
    assert "“Do you open on Sunday?” — “Yes, from nine to one.”" in summary["text"]
    assert summary["model"] == ""
    assert await Message.objects.acount() == before


async def test_a_rewrite_needs_a_model(world: World):
    asked = (await world.ask("hello")).json()
    path, headers = f"/api/v1/conversations/{asked['conversation_id']}/rewrite", {"x-api-key": world.key}
    refused = await world.client.post(path, headers=headers, json={"text": "Hi", "way": "formal"})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert "No model could be asked" in refused.text
    for body in (
        {"text": "Hi", "way": "rude"},
        {"text": "", "way": "formal"},
        {"way": "formal"},
        ["x"],
        {"text": "x" * 5000, "way": "pt"},
    ):
        assert (await world.client.post(path, headers=headers, json=body)).status_code == 422
    broken = await world.client.post(path, headers=headers | {"content-type": "application/json"}, content=b"{")
    assert broken.status_code == 400


async def test_nobody_elses(stranger: str, world: World):
    asked = (await world.ask("hello")).json()
    for task in ("suggestion", "summary", "rewrite"):
        body = {"text": "Hi", "way": "formal"}
        path = f"/api/v1/conversations/{asked['conversation_id']}/{task}"
        assert (await world.client.post(path, headers={"x-api-key": stranger}, json=body)).status_code == 404
        assert (await world.client.post(path, json=body)).status_code == 401
        for unknown in ("999999999", "99999999999999999999"):
            other = f"/api/v1/conversations/{unknown}/{task}"
            assert (await world.client.post(other, headers={"x-api-key": world.key}, json=body)).status_code == 404
