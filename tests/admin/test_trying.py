"""“Try it”: the draft answers a made-up customer, beside what is in force; nothing is sent and nothing is kept but the bill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from prosa import conf, plugins
from prosa.business import publishing
from prosa.business.models import Business, Guideline, GuidelineDraft
from prosa.channels.models import Inbox
from prosa.contracts import Caller, Json, ToolContext, ToolOffer, ToolResult, Turn, TurnResult
from prosa.conversations.acts import offers
from prosa.conversations.guidelines import trying
from prosa.costs.models import Budget, UsageDay
from prosa.errors import BadInput
from prosa.hookspecs import hookimpl
from prosa.knowledge.models import ApprovedAnswer
from prosa.simulator import fake_llm

RULES = [
    {"number": 1, "when": "perguntarem do frete", "then": "diga que é grátis"},
    {"number": 2, "when": "perguntarem do frete", "then": "seja breve", "channels": ["telegram"]},
]


@pytest.fixture
def shop(transactional_db: None) -> Business:
    """Other connections read it: what a trial sees must be committed."""
    made = Business.objects.create(name="Doces da Ana", slug="doces")
    Guideline.objects.create(business=made, text="Horário: abrimos às 9h.")
    Inbox.objects.create(business=made, kind="rest", name="API", slug="api")
    return made


@pytest.fixture
def draft(shop: Business) -> GuidelineDraft:
    return publishing.save_draft(shop.guideline, "Horário: abrimos às 10h.", RULES, 0, 1, None)


@pytest.fixture
def model(shop: Business, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_llm.Control]:
    """The double of a model, on loopback: it answers from what stands in the guidelines."""
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        Business.objects.filter(pk=shop.pk).update(model="openai-chat:gpt-4.1-mini")
        yield fake_llm.control
        fake_llm.control.reset()
    monkeypatch.undo()
    conf.settings.cache_clear()


def counts() -> dict[str, int]:
    """How many rows each table of ours has."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models() if model._meta.app_label.startswith("prosa_")}  # fmt: skip


def one(business: Business, text: str, **more: object) -> trying.Tried:
    return trying.now(partial(trying.ask, business.pk, text, **more))[0]  # type: ignore[arg-type]


def page(guideline: Guideline) -> str:
    return reverse("admin:prosa_conversations_conversation_try", args=[guideline.pk])


def test_the_draft_answers_beside_what_is_in_force(shop, draft, model):
    before = counts()
    new, old = trying.now(
        partial(trying.ask, shop.pk, "qual o horário?", version="draft"),
        partial(trying.ask, shop.pk, "qual o horário?"),
    )
    assert ("10h" in new.text, "9h" in old.text) == (True, True)
    assert (new.drafted, old.drafted) == (True, False)
    assert [(rule.number, rule.chosen, rule.reason) for rule in new.trace.rules if rule.number == 2] == [
        (2, False, "channel")
    ]
    assert old.trace.rules == []
    assert (new.trace.id, new.trace.outcome, new.trace.usage.model) == (None, "trial", "openai-chat:gpt-4.1-mini")
    assert [said.text for said in new.trace.question] == ["qual o horário?"]
    after = counts()
    assert {label: count - before[label] for label, count in after.items() if count != before[label]} == {
        "prosa_costs.UsageDay": 1
    }
    assert list(UsageDay.objects.values_list("purpose", "requests", "model")) == [
        ("trial", 2, "openai-chat:gpt-4.1-mini")
    ]
    shop.guideline.refresh_from_db()
    assert (shop.guideline.text, shop.guideline.version) == ("Horário: abrimos às 9h.", 1)


def test_conditional_rules_of_the_draft_reach_the_mind(shop, draft):
    heard: list[Turn] = []

    async def think(turn: Turn) -> TurnResult:
        heard.append(turn)
        return TurnResult((), model="stub")

    one(shop, "quanto é o frete?", version="draft", think=think)
    one(shop, "quanto é o frete?", think=think)
    assert "diga que é grátis" in heard[0].guidelines
    assert "seja breve" not in heard[0].guidelines
    assert "diga que é grátis" not in heard[1].guidelines


def test_earlier_lines_are_history(shop):
    heard: list[Turn] = []

    async def think(turn: Turn) -> TurnResult:
        heard.append(turn)
        return TurnResult((), model="stub")

    one(shop, "e no sábado?", earlier=[("customer", "que horas abre?"), ("bot", "Às 9h.")], think=think)
    assert [(line.author, line.text) for line in heard[0].history] == [
        ("customer", "que horas abre?"),
        ("bot", "Às 9h."),
    ]
    assert [line.text for line in heard[0].question] == ["e no sábado?"]


def test_without_a_model_approved_answers_are_said(shop):
    ApprovedAnswer.objects.create(business=shop, question="Vocês entregam?", answer="Sim, às terças.")
    tried = one(shop, "vocês entregam?")
    assert (tried.text, tried.trace.offline) == ("Sim, às terças.", "approved")
    assert not UsageDay.objects.exists()


def test_what_would_change_something_is_only_named(shop, model, monkeypatch):
    ran: list[str] = []

    class Shop:
        @hookimpl
        def tools(self) -> list[ToolOffer]:
            schema: Json = {"type": "object", "properties": {"reason": {"type": "string"}}}
            return [ToolOffer("book_person_visit", "Books.", schema, self.make, risk="write")]

        def make(self, _: Caller) -> object:
            async def run(_: ToolContext, __: Json) -> ToolResult:
                ran.append("booked")
                return ToolResult("booked")

            return run

    plugin = Shop()
    plugins.manager().register(plugin)
    offers.offered.cache_clear()
    try:

        async def think(turn: Turn) -> TurnResult:
            (tool,) = [tool for tool in turn.tools if tool.name == "book_person_visit"]
            assert turn.execute is not None

            async def do(_: str) -> ToolResult:
                return await tool.run(ToolContext(turn, "1"), {})

            told = await turn.execute(tool, {"reason": "ana"}, do)
            assert "trial" in told.text
            return TurnResult((), model="stub")

        tried = one(shop, "marca uma visita", think=think)
    finally:
        plugins.manager().unregister(plugin)
        offers.offered.cache_clear()
    assert ran == []
    assert [(would.tool, would.arguments, would.confirmed) for would in tried.would] == [
        ("book_person_visit", {"reason": "ana"}, False)
    ]


def test_an_empty_budget_hands_off_as_it_would(shop, model):
    Budget.objects.create(business=shop, day_hard=Decimal(0), at_limit="handoff")
    tried = one(shop, "qual o horário?")
    assert tried.trace.budget.step == "handoff"
    assert tried.trace.handoff is not None
    assert tried.trace.usage.requests == 0


def test_nonsense_is_refused_in_words(shop):
    for given in ({"text": "  "}, {"text": "oi", "channel": "pigeon"}):
        with pytest.raises(BadInput):
            trying.now(partial(trying.ask, shop.pk, **given))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no such business"):
        trying.now(partial(trying.ask, shop.pk + 1, "oi"))


# ── the page ──


def test_from_the_draft_to_its_trial(admin_client: Client, shop, draft, model):
    guideline = reverse("admin:prosa_business_guideline_change", args=[shop.guideline.pk])
    assert 'name="try"' in admin_client.get(guideline).content.decode()
    form = {
        "text": "Horário: abrimos às 11h.", "note": "", "revision": draft.revision, "in_force": 1, "try": "1",
        "form-TOTAL_FORMS": 0, "form-INITIAL_FORMS": 0,
    }  # fmt: skip
    response = admin_client.post(guideline, form)
    assert response.headers["Location"] == page(shop.guideline)
    asked = admin_client.post(page(shop.guideline), {"text": "qual o horário?", "channel": "rest", "compare": "on"})
    sides = asked.context["sides"]
    assert [("11h" in side["tried"].text, "9h" in side["tried"].text) for side in sides] == [
        (True, False),
        (False, True),
    ]
    shown = asked.content.decode()
    assert "It used the draft of the guidelines." in sides[0]["account"].sentences
    assert "It used version 1 of the guidelines." in sides[1]["account"].sentences
    assert "It used the draft of the guidelines." in shown
    kept = json.loads(asked.context["form"].initial["exchanges"])
    assert [set(row) for row in kept] == [{"asked", "draft", "published"}]
    again = admin_client.post(
        page(shop.guideline), {"text": "e domingo?", "channel": "rest", "exchanges": json.dumps(kept)}
    )
    assert [author for author, _ in again.context["sides"][0]["earlier"]] == ["customer", "bot"]


@pytest.mark.parametrize("language", ["pt-br", "es", "en"])
def test_in_every_language(admin_client: Client, shop, draft, language):
    asked = admin_client.post(
        page(shop.guideline), {"text": "oi", "channel": "rest"}, headers={"accept-language": language}
    )
    assert asked.status_code == 200
    assert len(asked.context["sides"]) == 1


@pytest.mark.parametrize(
    "exchanges", ["{", "[1, {}]", '"x"', '[{"asked": 1}]', '[{"asked": "<script>x</script>", "draft": ["y"]}]']
)
def test_what_the_page_kept_is_not_believed(admin_client: Client, shop, exchanges):
    asked = admin_client.post(page(shop.guideline), {"text": "oi", "channel": "rest", "exchanges": exchanges})
    assert asked.status_code == 200
    assert "<script>x" not in asked.content.decode()
    assert asked.context["sides"]


def test_a_form_with_mistakes_comes_back(admin_client: Client, shop):
    for given in (
        {"text": "", "channel": "rest"},
        {"text": "oi", "channel": "pigeon"},
        {"text": "x" * 5000, "channel": "rest"},
    ):
        asked = admin_client.post(page(shop.guideline), given)
        assert asked.status_code == 200
        assert asked.context["sides"] == []


def test_only_for_those_who_may_change_guidelines(client: Client, admin_client: Client, shop):
    assert admin_client.get(reverse("admin:prosa_conversations_conversation_try", args=[10**20])).status_code == 404
    user = User.objects.create_user("bia", password="x", is_staff=True)
    client.force_login(user)
    assert client.get(page(shop.guideline)).status_code == 403
    client.logout()
    assert "/login/" in client.get(page(shop.guideline)).headers["Location"]
