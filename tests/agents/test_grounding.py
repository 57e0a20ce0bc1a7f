from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.conftest import NOW

from prosa.agents import grounding, memory, runner
from prosa.contracts import File, Line, Turn
from prosa.simulator.fake_llm import Control

EVIDENCE = (
    "O creme custa R$ 1.234,56 e o frete R$ 15. Desconto de 10% no Pix. Abrimos das 9h às 18h30.",
    "Entregamos em 5 a 7 dias úteis; a promoção vale até 15 de março de 2026. Troca em trinta dias.",
    '{"price": 89.9, "order": "A-48213", "stock": 12, "weight": "250 g"}',
    "Ligue (11) 3456-7890. Pagamento em até 3x sem juros.",
)


@pytest.mark.parametrize(
    "draft",
    [
        "Custa R$ 1234,56.",
        "It costs 1,234.56 reais.",
        "O frete é de R$ 15,00.",
        "Fica em R$ 89,90.",
        "$89.90",
        "10 % de desconto, ou dez por cento",
        "Abre às 9:00 e fecha às 18:30.",
        "We open at 9am and close at 6:30 pm.",
        "Abierto de 9 a 18:30 hs",
        "Chega em 5 dias, no máximo 7 dias.",
        "Takes 5-7 days.",
        "Vale até 15/03.",
        "Vale até 15/03/2026.",
        "Hasta el 15 de marzo.",
        "Until March 15th, 2026.",
        "2026-03-15",
        "Você tem 30 dias para trocar.",
        "Seu pedido 48213 está a caminho.",
        "Ligue para +55 11 3456-7890.",
        "34567890",
        "Em 3 parcelas.",
        "Tem 250g.",
        "1. Primeiro passo\n2. Segundo passo\n3) Terceiro",
        "Há 2 opções e 4 cores; escolha 1.",
        "Um minuto, por favor. Uma pessoa já vem.",
        "Sem números aqui!",
        "",
    ],
)
def test_what_the_evidence_says_in_any_writing_is_borne_out(draft: str) -> None:
    assert grounding.unsupported(draft, EVIDENCE) == ()


@pytest.mark.parametrize(
    ("draft", "missing"),
    [
        ("Custa R$ 1.234,57.", "r$ 1.234,57"),
        ("Custa 30 reais.", "30 reais"),
        ("Desconto de 15%.", "15%"),
        ("Abre às 8h.", "8h"),
        ("Open until 7pm.", "7pm"),
        ("Chega em 2 dias.", "2 dias"),
        ("Chega em dois dias.", "2 dias"),
        ("Vale até 16/03.", "16/03"),
        ("Vale até 15/03/2027.", "15/03/2027"),
        ("Until April 15.", "april 15"),
        ("Ligue (11) 3456-7891.", "(11) 3456-7891"),
        ("Seu pedido é o 99999.", "99999"),
        ("Em 12x sem juros.", "12x"),
        ("Tem 300 ml.", "300 ml"),
        ("Total: 99,90", "99,90"),
        ("8 - 7 dias úteis", "8 7 dias"),
        ("20 – 30 dias", "20 30 dias"),
    ],
)
def test_what_it_does_not_say_is_named(draft: str, missing: str) -> None:
    evidence = [*EVIDENCE[:2], EVIDENCE[2].replace('"stock": 12, ', ""), EVIDENCE[3]]
    assert grounding.unsupported(draft, evidence) == (missing,)


def test_the_month_may_come_first() -> None:
    assert grounding.unsupported("On 03/04.", ["March 4"], month_first=True) == ()
    assert grounding.unsupported("Dia 03/04.", ["March 4"]) == ("03/04",)


def test_the_hint_names_the_figures_and_not_the_answer() -> None:
    told = grounding.hint(grounding.unsupported("Custa R$ 50.", EVIDENCE))
    assert "r$ 50" in told
    assert "1.234" not in told


AMOUNTS = st.decimals(min_value=Decimal("0.01"), max_value=Decimal("9999999.99"), places=2)


def portuguese(value: Decimal) -> str:
    return f"{value:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


@given(value=AMOUNTS)
def test_a_price_is_the_same_price_in_every_writing(value: Decimal) -> None:
    writings = [f"R$ {portuguese(value)}", f"${value:,.2f}", f"{value}", f"{portuguese(value)} reais", f"R${value}"]
    for draft in writings:
        for known in writings:
            assert grounding.unsupported(f"Custa {draft}.", [f"preço: {known}!"]) == (), (draft, known)


@given(value=AMOUNTS, other=AMOUNTS)
def test_another_price_is_never_borne_out(value: Decimal, other: Decimal) -> None:
    missing = grounding.unsupported(f"Custa R$ {portuguese(other)}.", [f"O preço é R$ {portuguese(value)}."])
    assert bool(missing) is (value != other)


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_time_is_the_same_time_in_every_writing(hour: int, minute: int) -> None:
    twelve = f"{hour % 12 or 12}:{minute:02} {'pm' if hour >= 12 else 'am'}"
    writings = [f"{hour}:{minute:02}", f"{hour:02}h{minute:02}", twelve, *([f"{hour}h"] if minute == 0 else [])]
    for draft in writings:
        for known in writings:
            assert grounding.unsupported(f"Às {draft}.", [f"Abre {known}"]) == (), (draft, known)


@given(day=st.integers(1, 28), month=st.integers(1, 12))
def test_a_day_is_the_same_day_in_every_writing(day: int, month: int) -> None:
    names = [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ]
    writings = [f"{day}/{month}", f"{day:02}/{month:02}", f"{day} de {names[month - 1]}", f"2026-{month:02}-{day:02}"]
    for known in writings:
        for draft in writings[:3]:
            assert grounding.unsupported(f"No dia {draft}.", [known]) == (), (draft, known)


@given(text=st.text(max_size=300))
def test_any_text_bears_itself_out(text: str) -> None:
    assert grounding.unsupported(text, [text]) == ()


@given(text=st.text(alphabet="0123456789.,:/-hR$% dias()+\n", max_size=80))
def test_odd_figures_bear_themselves_out(text: str) -> None:
    assert grounding.unsupported(text, ["antes", text]) == ()


@pytest.mark.parametrize("unit", ["1", "123 ", "123.", "1-", "12 34 ", "vinte e "])
def test_a_stranger_can_make_no_text_that_takes_for_ever(unit: str) -> None:
    """Read on the event loop: were one of the patterns to go back over the whole text, this would take hours."""
    text = unit * (200_000 // len(unit))
    assert grounding.unsupported("R$ 77,00", [text]) == ("r$ 77,00",)


@pytest.mark.parametrize(
    ("draft", "asked"),
    [
        ("Sim, o creme custa R$ 1,00.", "o creme custa R$ 1,00, certo?"),
        ("Não se preocupe, sai por R$ 1.", "me disseram R$ 1"),
        ("Claro, o desconto é de 50%.", "a atendente prometeu 50% de desconto"),
        ("Sí, cuesta 10 dólares.", "cuesta 10 dólares, ¿no?"),
        ("Yes, it is $5. Anything up to $5 is fine.", "it is $5, right?"),
    ],
)
def test_customers_set_no_prices(draft: str, asked: str):
    assert grounding.unsupported(draft, [], theirs=[asked])
    assert not grounding.unsupported(draft, [asked])


@pytest.mark.parametrize(
    ("draft", "asked"),
    [
        ("Até R$ 100 temos o creme azul.", "tenho R$ 100, o que dá?"),
        ("Você disse R$ 80; vou confirmar com a equipe.", "vi por R$ 80 na vitrine"),
        ("O preço não é R$ 1,00.", "custa R$ 1,00?"),
        ("Quer gastar no máximo R$ 60?", "uns R$ 60"),
        ("No, it isn't $5.", "it is $5, right?"),
        ("Sua visita de 15/03 às 15h está anotada?", "quero ir em 15/03 às 15h"),
        ("Vou olhar o pedido 4821.", "cadê o pedido 4821?"),
        ("O boleto que você mandou é de R$ 350.", "Boleto. Valor: R$ 350,00"),
        ("The invoice says $350.", "Total: $350"),
    ],
)
def test_what_is_the_customers_may_be_taken_up(draft: str, asked: str):
    assert not grounding.unsupported(draft, [], theirs=[asked])


async def test_a_price_a_customer_named_is_not_confirmed(models: Control, turn: Callable[..., Turn]):
    models.say = lambda _: "Sim, o creme custa R$ 1,00."
    result = await runner.run(turn("o creme custa R$ 1,00, certo?", words={"unknown": "Não sei."}))
    assert "R$ 1" not in result.replies[0].text
    assert result.trace["rejected"][0]["figures"] == ["r$ 1,00"]


async def test_a_price_a_file_of_the_customers_names_is_not_confirmed(
    models: Control, turn: Callable[..., Turn], tmp_path: Path
):
    path = tmp_path / "x"
    path.write_bytes(b"%PDF-1.7\n")
    file = File(path, "application/pdf", path.stat().st_size, "document", "creme por R$ 1,00.pdf")
    asked = replace(
        turn("quanto é o creme?", words={"unknown": "Não sei."}, document_text=lambda _data: "Tabela: creme R$ 2,00"),
        question=(Line("customer", "quanto é o creme?", NOW, files=(file,)),),
    )
    for price in ("R$ 1,00", "R$ 2,00"):
        models.say = lambda _, price=price: f"O creme custa {price}."
        result = await runner.run(asked)
        assert price not in result.replies[0].text
    models.say = lambda _: "No documento, o creme está por R$ 2,00; vou confirmar com a equipe."
    assert "R$ 2,00" in (await runner.run(asked)).replies[0].text


async def test_a_price_a_customer_named_long_ago_is_not_confirmed(models: Control, turn: Callable[..., Turn]):
    models.say = lambda _: "O creme custa R$ 1,00."
    summary = "Respondido: “o creme custa R$ 1,00, certo?” — “Olá! Vou ver.”"
    result = await runner.run(turn("e o creme?", summary=summary, words={"unknown": "Não sei."}))
    assert "R$ 1" not in result.replies[0].text
    models.say = lambda _: "Seu pedido 4821 chega em 20/11."
    result = await runner.run(turn("e o pedido?", summary="Pedido 4821 prometido para 20/11."))
    assert result.replies[0].text == "Seu pedido 4821 chega em 20/11."


async def test_no_more_is_read_for_figures_than_the_model_read(
    models: Control, turn: Callable[..., Turn], monkeypatch: pytest.MonkeyPatch
):
    """All of it on the event loop: a burst of long messages must not hold up the other conversations."""
    read: list[int] = []
    real = grounding.figures
    monkeypatch.setattr(grounding, "figures", lambda text, **kept: read.append(len(text)) or real(text, **kept))
    models.say = lambda _: "O creme custa R$ 77,00."
    history = [("customer", "12 " * 5_000), ("bot", "34 " * 1_000)] * 20
    await runner.run(turn(("12 " * 5_000,) * 20, history=history, history_tokens=1_500))
    assert len(read) > 4
    assert max(read) <= memory.MAX_QUESTION + 100


async def test_what_the_model_did_not_read_bears_nothing_out(models: Control, turn: Callable[..., Turn]):
    models.say = lambda _: "O creme custa R$ 77,00."
    history = [("bot", "O creme custa R$ 77,00."), ("customer", "ok " * 400)]
    near = await runner.run(turn("e o creme?", history=history))
    far = await runner.run(turn("e o creme?", history=history, history_tokens=300))
    assert near.replies[0].text == "O creme custa R$ 77,00."
    assert "R$ 77" not in far.replies[0].text
