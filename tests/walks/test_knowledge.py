"""What the business knows reaches the customer: found with spelling mistakes, said word by word, with its source."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from tests.walks.house import House, elsewhere
from tests.walks.payloads import said

from prosa.agents import runner
from prosa.business.models import Business
from prosa.knowledge import index

PIECES = (
    index.Piece("A troca pode ser pedida em até 30 dias depois da entrega, com a nota fiscal.", "Trocas"),
    index.Piece("O frete para a cidade de Campinas custa R$ 18,90 e leva três dias úteis.", "Entregas"),
)


async def test_a_document_answers_a_misspelt_question_and_gives_its_source(house: House, business: Business):
    house.mind.answer = runner.run
    entry = index.Entry("frete.md", "Trocas e entregas", PIECES, "pt")
    await elsewhere(index.store, business.pk, [entry])
    await house.work()
    await house.post(said("qto custa o frte pra campinas?", "1"))
    await house.until(house.carrier.texts)
    (answer,) = house.carrier.texts()
    assert "R$ 18,90" in answer
    assert "Trocas e entregas" in answer
    await house.quiet()
    trace = house.one("SELECT trace FROM prosa_conversations_turn")
    assert trace["passages"][0]["source"].startswith("Trocas e entregas")


async def test_another_business_knows_nothing_of_it(house: House, business: Business):
    house.mind.answer = runner.run
    other = await sync_to_async(Business.objects.create)(name="Outra", slug="outra")
    await elsewhere(index.store, other.pk, [index.Entry("x", "Fretes", PIECES, "pt")])
    await house.work()
    await house.post(said("quanto custa o frete para Campinas?", "1"))
    await house.until(house.carrier.texts)
    assert "18,90" not in house.carrier.texts()[0]
