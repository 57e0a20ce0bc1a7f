"""Whom a handoff calls, and what else makes one: a rule of the business, our button, the inbox the customer writes to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from tests.walks import payloads
from tests.walks.house import House, elsewhere, says
from tests.walks.payloads import said, written

from prosa.agents import runner
from prosa.business import handoff
from prosa.business.guidance import Rule
from prosa.business.models import Business
from prosa.business.people import Team
from prosa.channels.models import Inbox
from prosa.contracts import Action, Turn, TurnResult
from prosa.conversations.models import Conversation, State
from prosa.conversations.words import in_line, words
from prosa.desk.assignment import offer

PT = words("pt-br")


async def hello(house: House, text: str = "oi", number: str = "1", **more: Any) -> None:
    """A message, and everything that comes of it."""
    before = len(house.carrier.sent)
    await house.post(said(text, number, **more))
    await house.until(lambda: len(house.carrier.sent) > before)
    await house.quiet()


def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def teams(*names: str) -> list[Team]:
    business = Business.objects.get()
    Team.objects.create(business=business, name="Geral", fallback=True)
    return [Team.objects.create(business=business, name=name) for name in names]


def names_of_teams() -> list[str | None]:
    for pk in Conversation.objects.values_list("pk", flat=True):
        offer(pk)
    return list(Conversation.objects.order_by("pk").values_list("team__name", flat=True))


# ── by rule ──


def publish_complaints() -> None:
    """As an administrator writes it."""
    teams("Reclamações")
    guideline = Business.objects.get().guideline
    rule = {
        "form-0-when": "o cliente reclama", "form-0-then": "peça desculpas", "form-0-active": "on", "form-0-priority": "50",
        "form-0-calls": "on", "form-0-team": "Reclamações", "form-0-words": "reclamação; procon ",
    }  # fmt: skip
    data = {"text": "Seja gentil.", "revision": 0, "in_force": guideline.version, "note": "reclamações", "publish": "1"}
    more = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0}
    page = reverse("admin:prosa_business_guideline_change", args=[guideline.pk])
    client = admin()
    refused = client.post(page, data | more | rule | {"form-0-calls": ""})
    assert refused.status_code == 200
    assert client.post(page, data | more | rule).status_code == 302
    assert "Reclamações" in client.get(page).content.decode()


async def test_a_rule_calls_its_team_whatever_is_answered(house: House):
    await elsewhere(publish_complaints)

    async def forgets(turn: Turn) -> TurnResult:
        assert "peça desculpas; and call bring_in_person with the team “Reclamações”" in turn.guidelines
        return says("Sinto muito!")

    house.mind.answer = forgets
    await house.work()
    await hello(house, "quero fazer uma RECLAMACAO", "1")
    assert house.state() == State.AWAITING_AGENT
    assert house.events("handed_off")[0] | {"from": "", "to": ""} == {
        "reason": "o cliente reclama", "team": "Reclamações", "from": "", "to": "",
    }  # fmt: skip
    assert house.carrier.texts()[0].startswith("Sinto muito!")
    assert " ".join(house.carrier.texts()).endswith(f"{PT['handed_off']}\n\n{in_line('pt-br', 0, None)}")
    assert await elsewhere(names_of_teams) == ["Reclamações"]


async def test_other_words_call_nobody(house: House):
    await elsewhere(publish_complaints)
    await house.work()
    await hello(house, "qual o prazo?")
    assert house.state() == State.BOT


async def test_a_question_that_waits_for_a_yes_goes_when_a_rule_calls(house: House):
    await elsewhere(publish_complaints)
    action = Action("k1", "cancel", {})
    house.mind.answer = lambda _turn: asyncio.sleep(0, says("Cancelo?", action=action))
    await house.work()
    await hello(house, "vou no procon")
    assert house.state() == State.AWAITING_AGENT
    assert not any("Cancelo?" in text for text in house.carrier.texts())
    assert house.rows("select 1 from prosa_conversations_pendingaction") == []


def test_a_rule_is_kept_as_it_was_written():
    rule = Rule(1, "a", "b", calls=True, team="X", words=("c", "d e"))
    assert Rule.read(rule.row()) == rule
    assert "calls" not in Rule(1, "a", "b").row()


# ── by inbox ──


async def test_an_inbox_s_team_is_called_where_no_other_is_named(house: House):
    def choose() -> None:
        shop, other = teams("Loja", "Outra")
        inbox = Inbox.objects.get()
        client = admin()
        page = reverse("admin:prosa_channels_inbox_change", args=[inbox.pk])
        form = client.get(page).context["adminform"].form
        data = {name: form[name].value() or "" for name in form.fields}
        assert client.post(page, data | {"team": shop.pk}).status_code == 302
        assert Inbox.objects.get().team == shop
        Conversation.objects.create(
            business=inbox.business, inbox=inbox, contact=inbox.business.contacts.create(name="Outra"),
            state=State.AWAITING_AGENT, team=other,
        )  # fmt: skip
        Conversation.objects.create(
            business=inbox.business, inbox=inbox, contact=inbox.business.contacts.create(name="Antes"),
            state=State.AWAITING_AGENT, team=shop,
        )  # fmt: skip

    await elsewhere(choose)
    await house.work()
    await hello(house, "atendente")
    assert house.carrier.texts()[0].endswith(in_line("pt-br", 1, None))
    assert (await elsewhere(names_of_teams))[-1] == "Loja"


# ── by button ──


async def test_the_offer_of_a_person_is_a_button(house: House):
    house.mind.answer = runner.run
    await elsewhere(lambda: Business.objects.update(handoff_without=handoff.NONE))
    await house.work()
    await hello(house, "vende pneu?", "1")
    (button,) = house.one("select payload->'options' from prosa_conversations_message where direction = 'out'")
    assert button["title"] == PT["person_button"]
    reply = {"type": "button_reply", "button_reply": {"id": button["id"], "title": button["title"]}}
    tap = payloads.text("", "tap") | {"type": "interactive", "interactive": reply}
    del tap["text"]
    await house.post(written([tap]))
    await house.until(lambda: house.state() == State.AWAITING_AGENT)
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert house.events("handed_off")[0]["reason"] == "button"
    assert house.carrier.texts()[1].startswith(PT["handed_off"])
    # Words are not ours to count here, whoever writes them.
    await house.quiet()


@pytest.mark.parametrize("locale", ["pt-br", "es", "en"])
def test_the_button_is_as_long_as_whatsapp_takes(locale: str):
    assert len(words(locale)["person_button"]) <= 20


# ── the usual words ──


async def test_a_business_takes_the_tick_from_words_it_will_not_have(house: House):
    def untick() -> str:
        business = Business.objects.get()
        client = admin()
        page = reverse("admin:prosa_business_business_change", args=[business.pk])
        form = client.get(page).context["adminform"].form
        data = {name: value for name in form.fields if (value := form[name].value()) is not None and value is not False}
        assert data["handoff_without"] == list(handoff.WORDS)
        data["handoff_without"] = [word for word in handoff.WORDS if word not in ("suporte", "gerente")]
        data |= {"holidays-TOTAL_FORMS": 0, "holidays-INITIAL_FORMS": 0}
        answer = client.post(page, data)
        assert answer.status_code == 302, answer.context["errors"]
        return Business.objects.get().handoff_without

    assert await elsewhere(untick) == "gerente\nsuporte"
    await house.work()
    await hello(house, "quero falar com o suporte", "1")
    assert house.state() == State.BOT
    await hello(house, "quero falar com um atendente", "2")
    assert house.state() == State.AWAITING_AGENT
