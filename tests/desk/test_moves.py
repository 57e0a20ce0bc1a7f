"""Snoozing, starting afresh, and the lines of the timeline that tell of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from prosa.business.people import Membership, Team
from prosa.business.zones import zone_named
from prosa.conversations import ownership, thread
from prosa.conversations.models import Conversation, Message, State, Summary
from prosa.conversations.states import Move

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
HTMX = {"HX-Request": "true"}


def pane(client: Client, conversation: Conversation) -> str:
    return client.get(f"/agent/c/{conversation.pk}", headers=HTMX).content.decode()


def told(conversation: Conversation) -> list[str]:
    events = list(conversation.events.order_by("pk"))
    return list(thread.in_words(conversation, events).values())


# ── snoozing ──


def test_a_conversation_is_put_aside_until_a_moment_of_the_business_and_brought_back(
    bia: Membership, at_desk: Desk, talk: Talk
):
    conversation, client = talk(), at_desk(bia)
    address = f"/agent/c/{conversation.pk}"
    here = timezone.now().astimezone(zone_named("America/Sao_Paulo"))
    chosen = (here + timedelta(days=3)).replace(hour=14, minute=30, second=0, microsecond=0, tzinfo=None)
    assert client.post(f"{address}/snooze", {"until": chosen.strftime("%Y-%m-%dT%H:%M")}).status_code == 204
    conversation.refresh_from_db()
    wanted = chosen.replace(tzinfo=here.tzinfo)
    assert conversation.snoozed_until is not None
    # the clock of the database stands still in a transaction
    assert abs(conversation.snoozed_until - wanted) < timedelta(minutes=1)
    assert (
        f'datetime="{conversation.snoozed_until.isoformat()}" data-ago'
        in client.get("/agent/list?queue=snoozed").content.decode()
    )
    page = pane(client, conversation)
    standing = page.partition('id="standing"')[2].partition("</div>")[0]
    assert "Snoozed until" in standing
    assert re.search(r"(2|14):(29|30)", standing), standing
    assert 'data-move="wake"' in standing
    assert any(line.startswith("snoozed until ") and ("2:30" in line or "14:30" in line) for line in told(conversation))
    assert client.post(f"{address}/wake").status_code == 204
    conversation.refresh_from_db()
    assert conversation.snoozed_until is None
    assert 'data-move="wake"' not in pane(client, conversation)


def test_no_time_brings_it_back_and_does_nothing_where_nothing_was_put_aside(
    bia: Membership, at_desk: Desk, talk: Talk
):
    conversation, client = talk(), at_desk(bia)
    address = f"/agent/c/{conversation.pk}/snooze"
    assert client.post(address, {"until": ""}).status_code == 204
    assert not conversation.events.exists()
    assert client.post(address, {"until": "hour"}).status_code == 204
    assert client.post(address, {"until": ""}).status_code == 204
    conversation.refresh_from_db()
    assert conversation.snoozed_until is None
    assert [each.kind for each in conversation.events.order_by("pk")] == ["snoozed", "woken"]
    assert client.post(address, {"until": "soon"}).status_code == 422


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00"])
def test_nobody_snoozes_beyond_a_year(until: str, bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    answer = client.post(f"/agent/c/{conversation.pk}/snooze", {"until": until})
    assert answer.status_code == 422
    assert "to come" in answer.content.decode()
    assert client.get("/agent/list?queue=all").status_code == 200


def test_a_time_is_taken_as_it_was_said(bia: Membership, at_desk: Desk, talk: Talk):
    """With an offset it is that moment; else it is the business's."""
    conversation = talk()
    wanted = timezone.now() + timedelta(days=2)
    until = wanted.astimezone(ZoneInfo("Asia/Tokyo")).isoformat()
    assert at_desk(bia).post(f"/agent/c/{conversation.pk}/snooze", {"until": until}).status_code == 204
    conversation.refresh_from_db()
    assert conversation.snoozed_until is not None
    assert abs(conversation.snoozed_until - wanted) < timedelta(minutes=1)


# ── what the mover had seen ──


def writes(conversation: Conversation, text: str = "Mais uma coisa") -> Message:
    """The customer, a moment ago; no page shows it yet."""
    said = Message.objects.create(
        conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="in", author="customer",
        text=text, pending=True,
    )  # fmt: skip
    Conversation.objects.filter(pk=conversation.pk).update(last_inbound_id=said.pk, unread=2)
    return said


@pytest.mark.parametrize("move", ["resolve", "snooze"])
def test_what_the_customer_wrote_is_not_put_out_of_sight_unread(move: str, bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    address = f"/agent/c/{conversation.pk}/{move}"
    client.post(f"/agent/c/{conversation.pk}/take")
    conversation.refresh_from_db()
    seen = {"epoch": conversation.epoch, "last": conversation.last_inbound_id, "until": "hour"}
    said = writes(conversation)
    answer = client.post(address, seen)
    assert answer.status_code == 409
    assert "written something more" in answer.content.decode()
    conversation.refresh_from_db()
    assert (conversation.state, conversation.unread, conversation.snoozed_until) == (State.AGENT_ACTIVE, 2, None)
    assert Message.objects.get(pk=said.pk).pending
    # Whoever has read it may; and what was erased is nobody's to read.
    if move == "resolve":
        said.delete()
    assert client.post(address, seen | {"last": said.pk if move == "snooze" else seen["last"]}).status_code == 204


@pytest.mark.parametrize(
    ("move", "values"),
    [("take", {}), ("resolve", {}), ("give-back", {}), ("snooze", {"until": "hour"}), ("snooze", {"until": ""}),
     ("wake", {}), ("assign", {"to": ""}), ("assign", {"to": "me"})],
)  # fmt: skip
def test_a_page_that_is_behind_moves_nothing_of_a_colleagues(
    move: str, values: dict[str, str], bia: Membership, rui: Membership, at_desk: Desk, talk: Talk
):
    conversation, client = talk(), at_desk(bia)
    seen = conversation.epoch
    assert at_desk(rui).post(f"/agent/c/{conversation.pk}/snooze", {"until": "tomorrow"}).status_code == 204
    values = {name: f"member:{bia.pk}" if value == "me" else value for name, value in values.items()}
    answer = client.post(f"/agent/c/{conversation.pk}/{move}", values | {"epoch": seen})
    assert answer.status_code == 409
    assert "Rui" in answer.content.decode()
    conversation.refresh_from_db()
    assert (conversation.assignee, conversation.state) == (rui, State.AGENT_ACTIVE)
    assert conversation.snoozed_until is not None
    assert client.post(f"/agent/c/{conversation.pk}/{move}", values | {"epoch": conversation.epoch}).status_code == 204


def test_what_was_resolved_a_moment_ago_is_not_opened_from_an_old_page(
    bia: Membership, rui: Membership, at_desk: Desk, talk: Talk
):
    conversation = talk(state=State.RESOLVED)
    seen = conversation.epoch
    for move in ("reopen", "resolve"):
        assert at_desk(rui).post(f"/agent/c/{conversation.pk}/{move}").status_code == 204
    assert at_desk(bia).post(f"/agent/c/{conversation.pk}/reopen", {"epoch": seen}).status_code == 409


def test_whoever_has_it_moves_it_though_their_page_is_a_moment_behind(bia: Membership, at_desk: Desk, talk: Talk):
    """What it does not show yet is their own last message."""
    conversation, client = talk(), at_desk(bia)
    seen = conversation.epoch
    assert client.post(f"/agent/c/{conversation.pk}/reply", {"text": "Pronto!", "epoch": seen}).status_code == 204
    assert client.post(f"/agent/c/{conversation.pk}/resolve", {"epoch": seen}).status_code == 204


# ── starting afresh ──


def test_a_member_has_the_assistant_start_afresh(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(state=State.BOT), at_desk(bia)
    said = Message.objects.get(conversation=conversation)
    asked = Message.objects.create(
        conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="in",
        author="customer", text="e agora?", pending=True,
    )  # fmt: skip
    Conversation.objects.filter(pk=conversation.pk).update(specialist="vendas")
    Summary.objects.create(
        conversation=conversation, business=conversation.business, purpose="history", through_id=said.pk, text="…",
        written_at=timezone.now(),
    )  # fmt: skip
    assert 'data-move="afresh"' in pane(client, conversation)
    address = f"/agent/c/{conversation.pk}/afresh"
    assert client.post(address).status_code == 204
    conversation.refresh_from_db()
    assert (conversation.context_from, conversation.specialist) == (said.pk, "")
    assert conversation.context_from < asked.pk  # what waits is answered
    assert not Summary.objects.filter(conversation=conversation).exists()
    assert told(conversation) == ["started afresh · Bia"]
    assert client.post(address).status_code == 422
    assert conversation.events.count() == 1


# ── what does not apply ──


def test_refusals_are_sentences_that_can_be_translated(bia: Membership, at_desk: Desk, talk: Talk):
    assert set(Move) - set(ownership.REFUSED) <= {Move.CUSTOMER_WROTE}  # no person makes it
    conversation, client = talk(state=State.RESOLVED), at_desk(bia)
    for move, said in (("take", "cannot be taken"), ("resolve", "cannot be resolved"), ("wake", "is not put aside")):
        answer = client.post(f"/agent/c/{conversation.pk}/{move}")
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert str(conversation.pk) not in answer.content.decode()


# ── the timeline ──


def test_the_timeline_names_people_and_teams(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    team = Team.objects.create(business=bia.business, name="Vendas")
    for to in (f"member:{rui.pk}", f"team:{team.pk}", ""):
        assert client.post(f"/agent/c/{conversation.pk}/assign", {"to": to}).status_code == 204
    conversation.events.create(
        business=bia.business, kind="assigned", actor="system", data={"member": "rui", "team": "Vendas", "reason": "away"}
    )  # fmt: skip
    assert told(conversation) == [
        "assigned to Rui · Bia",
        "assigned to Vendas · Bia",
        "waits for anybody · Bia",
        "assigned to Rui (Vendas) · System · whoever had it went away",
    ]
    assert "assigned to Rui · Bia" in pane(client, conversation)


def test_a_timeline_of_anything_is_read(talk: Talk):
    conversation = talk()
    odd: list[Any] = [None, [], "x", {"until": 7}, {"until": "2026-01-01"}, {"member": None, "team": 3}]
    for data in odd:
        for kind in ("assigned", "snoozed", "handed_off", "unheard_of"):
            conversation.events.create(
                business=conversation.business, kind=kind, actor="user:x", data={} if data is None else data
            )
    assert len(told(conversation)) == len(odd) * 4
