"""What the assistant asks people, at the desk: who sees it where, who is told, and what the card says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.conversations import ownership
from prosa.conversations.cases.case import Case
from prosa.conversations.models import Conversation, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.desk import notices
from prosa.desk.models_notices import Notice, Outlet, Way

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
QUESTION = "Entregamos no domingo no Centro?"

pytestmark = pytest.mark.django_db


def ask(conversation: Conversation, team: Team | None = None) -> Case:
    """As a turn does it."""
    made = Case.objects.create(
        conversation=conversation,
        business=conversation.business,
        question=QUESTION,
        team=team,
        remind_at=timezone.now() + timedelta(minutes=10),
    )
    ownership.tell(conversation.pk, "case_asked", "bot", case=made.pk, question=QUESTION)
    return made


def test_the_list_shows_what_is_asked_to_its_own_business(
    bia: Membership, at_desk: Desk, talk: Talk, elsewhere: Business, member: Callable[..., Membership]
):
    asked, other = talk("Ana", State.BOT), talk("Eva", State.BOT)
    ask(asked)
    ask(talk("Zoe", State.BOT, of=elsewhere))
    desk = at_desk(bia)
    assert desk.get("/agent/counts").json()["questions"] == 1
    page = desk.get("/agent/list?queue=questions").content.decode()
    assert re.findall(r'id="row-(\d+)"', page) == [str(asked.pk)]
    assert "data-asked" in page
    assert str(other.pk) in re.findall(r'id="row-(\d+)"', desk.get("/agent/list?queue=bot").content.decode())
    shell = desk.get("/agent/dashboard").content.decode()
    assert re.search(r'<a id="questions"[^>]*queue=questions"(?! hidden)>', shell)
    assert at_desk(member("Gil", of=elsewhere)).get(f"/agent/c/{asked.pk}").status_code == 404


def test_the_card_asks_and_then_says_what_becomes_of_it(
    bia: Membership, at_desk: Desk, talk: Talk, member: Callable[..., Membership]
):
    conversation = talk("Ana", State.BOT)
    desk, address = at_desk(bia), f"/agent/c/{conversation.pk}"
    assert "data-case" not in desk.get(address).content.decode()
    case = ask(conversation)
    for page in (desk.get(address), desk.get(f"{address}/since?after=0")):
        assert QUESTION in page.content.decode()
        assert f'data-answer="{address}/case/{case.pk}/answer"' in page.content.decode()
    viewer = at_desk(member("Eva", Role.VIEWER)).get(address).content.decode()
    assert QUESTION in viewer
    assert "data-answer" not in viewer
    assert desk.post(f"{address}/case/{case.pk}/answer", {"text": "Sim <b>já</b>"}).status_code == 204
    told = desk.get(f"{address}/since?after=0").content.decode()
    assert "Bia" in told
    assert "data-answer" not in told
    ownership.act(conversation.pk, Wish(Move.TAKE, bia_actor(bia), assignee=bia.pk))
    after = desk.get(address).content.decode()
    assert "Sim &lt;b&gt;já&lt;/b&gt;" in after, "what could not be told any more is offered"
    ownership.give_back(conversation.pk, bia_actor(bia))
    assert "data-case" not in desk.get(address).content.decode()


def bia_actor(member: Membership) -> str:
    return f"user:{member.user_id}"


def test_people_are_told_what_is_asked_and_of_every_reminder(
    bia: Membership, rui: Membership, business: Business, talk: Talk, settings: Any
):
    settings.EMAIL_HOST = "mail.example.com"
    for each in (bia, rui):
        Outlet.objects.create(business=business, member=each, way=Way.EMAIL)
    slack = Outlet.objects.create(business=business, way=Way.SLACK)
    team = Team.objects.create(business=business, name="Entregas")
    team.members.add(rui)
    conversation = talk("Ana", State.BOT)
    case = ask(conversation, team)
    notices.hear(conversation.pk)
    notices.hear(conversation.pk)
    assert [(each.outlet.member, each.kind) for each in Notice.objects.order_by("outlet_id")] == [
        (rui, "asked"),
        (None, "asked"),
    ]
    ownership.tell(conversation.pk, "case_reminded", "system", case=case.pk, question=QUESTION, reminder=1)
    notices.hear(conversation.pk)
    assert Notice.objects.filter(kind="asked").count() == 4
    news, moot = notices._look(slack)
    assert (moot, len(news), news[0].reason) == ([], 1, QUESTION)
    Case.objects.filter(pk=case.pk).update(state="answered")
    news, moot = notices._look(slack)
    assert (news, len(moot)) == ([], 2), "answered meanwhile: nobody is called for it"
