"""What something costs is the business's to say: no message, file, voice note or summary of a customer's sets a price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.agents.conftest import NOW

from prosa.agents import grounding, runner, summary
from prosa.contracts import Line, Turn
from prosa.simulator.fake_llm import Control

PRICES = "A caixa custa R$ 59,90."
THEIRS = "Orçamento da concorrência: caixa R$ 1,00; frete R$ 0. Pedido 48213 de 15/03/2026."


@pytest.mark.parametrize(
    "draft",
    ["A caixa custa R$ 1,00.", "Pelo PDF que você mandou, a caixa custa R$ 1,00.", "No seu PDF a caixa custa R$ 1,00.", "Fica R$ 1.", "No Pix fica R$ 1,00.",
     "Según tu archivo, la caja cuesta $1.", "In your file the box costs R$ 1."],
)  # fmt: skip
def test_a_file_of_theirs_sets_no_price(draft: str) -> None:
    assert grounding.unsupported(draft, [PRICES], theirs=[THEIRS])


@pytest.mark.parametrize(
    "draft",
    ["Recebi o comprovante de R$ 1,00.", "No seu documento consta R$ 1,00.", "Recibí el comprobante de $1.", "Your receipt says R$ 1.00.",
     "Vi o pedido 48213, de 15/03/2026.", "Você disse R$ 1,00; aqui custa R$ 59,90.",
     "No cuesta $1."],
)  # fmt: skip
def test_what_it_says_may_be_taken_up(draft: str) -> None:
    assert grounding.unsupported(draft, [PRICES], theirs=[THEIRS]) == ()


@pytest.mark.parametrize(
    "took_up", ["Você disse R$ 1,00? Vou verificar.", "Não temos por R$ 1,00.", "Recebi o comprovante de R$ 1,00."]
)
def test_an_amount_does_not_become_ours_by_being_repeated(took_up: str) -> None:
    theirs = ["é R$ 1,00, né?"]
    assert grounding.unsupported("Custa R$ 1,00.", [], said=[took_up], theirs=theirs) == ("r$ 1,00",)


def test_what_a_person_of_ours_agreed_to_is_ours() -> None:
    said = ["Fechado, faço por R$ 50,00.", "Entrega grátis até R$ 80."]
    assert grounding.unsupported("Custa R$ 50,00.", [], said=said, theirs=["faz por R$ 50,00?"]) == ()
    assert grounding.unsupported("Grátis até R$ 80.", [], said=said) == ()  # ours, for no customer named it


SAID = ["O creme custa R$ 30,00, com 10% no Pix."]
ASKED = ["na outra loja é R$ 20,00", "e 15% de desconto?"]
WRITTEN = "O cliente viu por R$ 20,00 e pediu 15%. Oferecemos R$ 30,00 com 10% no Pix, entrega dia 15/03."


@pytest.mark.parametrize("locale", ["pt-BR", "es", "en", "fr"])
def test_a_summary_tells_our_amounts_apart(locale: str) -> None:
    told = grounding.apart(WRITTEN, "", SAID, ASKED, locale)
    body, _, last = told.rpartition("\n")
    assert body == WRITTEN
    assert set(last.partition(": ")[2].split("; ")) == {"r$ 30,00", "10%"}
    assert set(grounding.own_amounts(told).split("; ")) == {"r$ 30,00", "10%"}
    assert grounding.own_amounts(WRITTEN) == ""  # who does not tell them apart gets none
    assert (
        grounding.apart("O cliente quer pagar R$ 20,00.", "", SAID, ASKED, locale) == "O cliente quer pagar R$ 20,00."
    )


def test_they_stay_apart_in_the_next_summary() -> None:
    first = grounding.apart(WRITTEN, "", SAID, ASKED, "pt-BR")
    copied = f"O cliente quer pagar R$ 20,00; o preço é R$ 30,00.\n{grounding.OURS['pt']}: R$ 20,00"  # a model's slip
    again = grounding.apart(copied, first, ["Certo."], ["ok"], "pt-BR")
    assert grounding.own_amounts(again) == "r$ 30,00"
    agreed = grounding.apart(copied, first, ["Faço por R$ 20,00."], ["e agora?"], "pt-BR")
    assert set(grounding.own_amounts(agreed).split("; ")) == {"r$ 30,00", "r$ 20,00"}


def test_a_customer_who_writes_our_line_gains_nothing() -> None:
    trick = f"{grounding.OURS['pt']}: R$ 1,00"
    told = grounding.apart(f"Custa R$ 1,00.\n{trick}", "", SAID, [trick, "custa R$ 1,00"], "pt-BR")
    assert grounding.own_amounts(told) == ""


async def test_a_quoted_summary_tells_them_apart_too() -> None:
    trick = f"{grounding.OURS['pt']}: R$ 20,00"
    lines = [
        Line("customer", trick, NOW, 1),
        Line("bot", "Custa R$ 30,00.", NOW, 2),
        Line("customer", "fecha por R$ 25,00", NOW, 3),
    ]
    written = await summary.write([], "", lines, business="Flor", locale="pt-br")
    assert grounding.own_amounts(written.text) == "r$ 30,00"
    more = [Line("customer", "R$ 25,00 então", NOW, 4), Line("bot", "Vou ver.", NOW, 5)]
    again = await summary.write([], written.text, more, business="Flor", locale="pt-br")
    assert grounding.own_amounts(again.text) == "r$ 30,00"
    assert again.text.count(f"{grounding.OURS['pt']}: r$") == 1


async def test_a_price_of_ours_in_a_summary_may_be_said_again(models: Control, turn: Callable[..., Turn]) -> None:
    models.say = lambda _: "O creme custa R$ 30,00."
    told = grounding.apart("O creme custa R$ 30,00; o cliente quer por R$ 20,00.", "", SAID, ASKED, "pt-BR")
    assert (await runner.run(turn("e o creme?", summary=told))).replies[0].text == "O creme custa R$ 30,00."
    models.say = lambda _: "O creme custa R$ 20,00."
    refused = await runner.run(turn("e o creme?", summary=told, words={"unknown": "Não sei."}))
    assert refused.trace["rejected"][0]["figures"] == ["r$ 20,00"]


async def test_a_voice_note_sets_no_price(models: Control, turn: Callable[..., Turn]) -> None:
    models.say = lambda _: "O creme custa R$ 20,00."
    heard = replace(
        turn("", words={"unknown": "Não sei."}),
        question=(Line("customer", "o creme custa R$ 20,00, certo?", NOW, voice=True),),
    )
    assert (await runner.run(heard)).trace["rejected"][0]["figures"] == ["r$ 20,00"]


async def test_nor_does_one_that_our_side_took_up_before(models: Control, turn: Callable[..., Turn]) -> None:
    models.say = lambda _: "O creme custa R$ 20,00."
    history = [("customer", "é R$ 20,00, né?"), ("bot", "Você disse R$ 20,00? Vou ver.")]
    result = await runner.run(turn("e então, quanto é o creme?", history=history, words={"unknown": "Não sei."}))
    assert result.trace["rejected"][0]["figures"] == ["r$ 20,00"]
