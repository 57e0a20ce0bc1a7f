"""What nobody had written down is listed, what a person answered becomes an approved answer, and the next customer gets it."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from tests.walks.house import House, elsewhere, says
from tests.walks.payloads import echo, said

from prosa.agents import runner
from prosa.business.models import Business
from prosa.contracts import Turn, TurnResult, Usage
from prosa.conversations import learning
from prosa.costs.models import Budget
from prosa.knowledge import index, suggestions
from prosa.knowledge.learned import Gap, Suggestion
from prosa.knowledge.models import ApprovedAnswer

BIA = "5511987650002"
QUESTION = "vocês consertam relógio de parede antigo?"


@pytest.fixture
def real(house: House) -> House:
    house.mind.answer = runner.run
    return house


async def learn() -> None:
    await learning.learn()


async def ask(house: House, text: str, number: str, **more: str) -> None:
    before = len(house.outcomes())
    await house.post(said(text, number, **more))
    await house.until(lambda: len(house.outcomes()) > before)
    await house.quiet()


async def test_a_question_without_an_answer_is_listed_with_what_came_nearest(real: House, business: Business):
    entry = index.Entry(
        "p.md", "Presentes", (index.Piece("Vendemos relógio de pulso para presente.", "Vitrine"),), "pt"
    )
    await elsewhere(index.store, business.pk, [entry])
    await real.work()
    await ask(real, QUESTION, "1")
    await ask(real, "consertam relogio antigo de parede???", "2", phone=BIA)
    await ask(real, "meu cpf é 529.982.247-25, emitem boleto parcelado?", "3", phone=BIA)
    await learn()
    await learn()
    found = await sync_to_async(list)(Gap.objects.order_by("-count", "id"))
    assert (found[0].question, found[0].count) == (QUESTION, 2)
    assert found[0].near["title"] == "Presentes"
    assert found[0].near["score"] < 0.5
    assert "529" not in found[1].question


async def test_what_was_counted_is_not_searched_for_every_minute(
    real: House, business: Business, monkeypatch: pytest.MonkeyPatch
):
    await real.work()
    await ask(real, QUESTION, "1")
    searched: list[str] = []
    nearest = learning._nearest

    async def counted(connection: Any, business_id: int, text: str) -> Any:
        searched.append(text)
        return await nearest(connection, business_id, text)

    monkeypatch.setattr(learning, "_nearest", counted)
    await learn()
    await learn()
    assert searched == [QUESTION]
    assert (await Gap.objects.aget()).count == 1


async def test_a_persons_answer_is_suggested_approved_and_said_to_the_next_customer(real: House, business: Business):
    await real.work()
    await ask(real, QUESTION, "1")
    await real.post(echo("Oi Ana! Consertamos relógio de parede por R$ 80, em 5 dias.", "2"))
    await real.until(lambda: real.state() == "agent_active")
    await learn()
    assert await Suggestion.objects.acount() == 0, "the person may still be writing"
    await real.post(echo("Traga na loja, sem hora marcada.", "3"))
    await real.until(
        lambda: real.one("select count(*) from prosa_conversations_message where author = 'owner_phone'") == 2
    )
    await ask_silently(real, "obrigada!", "4")
    await learn()
    await learn()
    (made,) = await sync_to_async(list)(Suggestion.objects.all())
    assert (made.kind, made.status, made.question) == ("new", "waiting", QUESTION)
    assert made.answer == "Oi! Consertamos relógio de parede por R$ 80, em 5 dias.\nTraga na loja, sem hora marcada."
    await elsewhere(suggestions.approve, made, None)
    assert (await Gap.objects.aget()).status == "answered"
    await ask(real, "consertam relógio de parede?", "5", phone=BIA)
    assert "R$ 80" in real.carrier.texts(BIA)[-1]


async def ask_silently(house: House, text: str, number: str) -> None:
    """To a conversation a person has: nobody answers."""
    await house.post(said(text, number))
    await house.until(lambda: house.one("select count(*) from prosa_conversations_message where text = %s", text) == 1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("Consertamos relógio de parede por R$ 20, leva 5 dias.", "duplicate"),
        ("Consertamos relógio de parede por R$ 30, leva 5 dias.", "replaces"),
        ("Não consertamos relógio de parede por R$ 20, leva 5 dias.", "replaces"),
        ("Trocamos a máquina toda: R$ 20 e 5 dias, fale com o Beto na oficina.", "replaces"),
    ],
)
async def test_another_price_or_a_no_is_never_a_duplicate(real: House, business: Business, answer: str, kind: str):
    # Switched on after the customer asked: else the bot would have known.
    await real.work()
    await ask(real, QUESTION, "1")
    await ApprovedAnswer.objects.acreate(
        business=business, question="Consertam relógio de parede antigo?", answer="Consertamos relógio de parede por R$ 20, leva 5 dias."
    )  # fmt: skip
    await real.post(echo(answer, "2"))
    await real.until(lambda: real.state() == "agent_active")
    await ask_silently(real, "ok", "3")
    await learn()
    made = await Suggestion.objects.aget()
    assert made.kind == kind
    assert made.status == ("refused" if kind == "duplicate" else "waiting")
    if kind == "replaces":
        await elsewhere(suggestions.approve, made, None)
        assert (await ApprovedAnswer.objects.aget()).answer == answer
        assert (await Suggestion.objects.aget()).before.endswith("R$ 20, leva 5 dias.")


async def test_what_the_bot_had_answered_teaches_nothing(real: House, business: Business):
    await ApprovedAnswer.objects.acreate(business=business, question="Consertam relógio?", answer="Sim, consertamos.")
    await real.work()
    await ask(real, "vocês consertam relógio?", "1")
    await real.post(echo("Qualquer coisa estou por aqui na oficina hoje.", "2"))
    await real.until(lambda: real.state() == "agent_active")
    await ask_silently(real, "ok", "3")
    await learn()
    assert await Suggestion.objects.acount() == await Gap.objects.acount() == 0


async def test_another_business_learns_nothing_from_it(real: House, business: Business):
    other = await Business.objects.acreate(name="Outra", slug="outra")
    await real.work()
    await ask(real, QUESTION, "1")
    await learn()
    assert not await Gap.objects.filter(business=other).aexists()
    assert await Gap.objects.filter(business=business).acount() == 1


@pytest.mark.parametrize(
    ("said_", "lost"),
    [
        ("Não tenho essa informação. Posso chamar alguém da equipe?", True),
        ("Infelizmente não sei informar o prazo. Quer falar com a equipe?", True),
        ("Lo siento, no tengo esa información ahora mismo.", True),
        ("I don\u2019t have that information, shall I bring in a person?", True),
        ("I'm not sure whether we repair those.", True),
        ("Não temos frete grátis para o Acre.", False),
        ("No tenemos tienda en Lima; enviamos a todo el Perú.", False),
        ("We don't have a shop in Lisbon, we ship there.", False),
        ("Você não precisa informar o CPF.", False),
        ("Você não sabe o tamanho? A tabela ajuda.", False),
    ],
)
async def test_a_model_that_owns_up_in_words_leaves_a_question(
    house: House, business: Business, said_: str, lost: bool
):
    async def answer(_: Turn) -> TurnResult:
        return says(said_, usage=Usage(10, 5, requests=1))

    house.mind.answer = answer
    await house.work()
    await ask(house, QUESTION, "1")
    await learn()
    assert await Gap.objects.acount() == lost


async def test_what_the_budget_left_to_approved_answers_and_none_fitted_is_listed(real: House, business: Business):
    await sync_to_async(Budget.objects.create)(business=business, day_hard=0)
    await real.work()
    await ask(real, QUESTION, "1")
    assert real.events("handed_off")[0]["reason"] == "budget"
    await learn()
    assert [gap.question async for gap in Gap.objects.all()] == [QUESTION]
