"""What the ear hears of what the eye reads."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.agents.aloud import aloud
from prosa.agents.numerals import LARGEST, cardinal, digits, ordinal

CASES = {
    "pt-BR": [
        ("R$ 1.234,56", "mil duzentos e trinta e quatro reais e cinquenta e seis centavos"),
        ("R$ 1,00, R$ 0,50 e R$2.000.000", "um real, cinquenta centavos e dois milhões de reais"),
        ("R$ 2,5 milhões e R$ 3 mil", "dois vírgula cinco milhões de reais e três mil reais"),
        ("-R$ 5,00", "menos cinco reais"),
        ("12x de R$ 99,90", "doze vezes de noventa e nove reais e noventa centavos"),
        ("R$ 10 a R$ 21", "dez reais a vinte e um reais"),
        ("£ 2", "duas libras"),
        ("às 14:30", "às quatorze e trinta"),
        ("das 9h às 18h", "das nove horas às dezoito horas"),
        ("21h30, 1h, 2:05", "vinte e uma e trinta, uma hora, duas e cinco"),
        ("12:00 ou 00:15", "meio-dia ou meia-noite e quinze"),
        ("10:00:01", "dez horas e um segundo"),
        ("20/11/2026", "vinte de novembro de dois mil e vinte e seis"),
        ("2026-11-21", "vinte e um de novembro de dois mil e vinte e seis"),
        ("01/02", "primeiro de fevereiro"),
        ("31/02/2026", "trinta e um barra zero dois barra dois mil e vinte e seis"),
        ("10% e 2,5%", "dez por cento e dois vírgula cinco por cento"),
        ("0,05", "zero vírgula zero cinco"),
        ("(11) 98765-4321", "um um, nove oito sete seis cinco, quatro três dois um"),
        ("+55 11 3333-4444", "mais cinco cinco, um um, três três três três, quatro quatro quatro quatro"),
        ("2 kg, 1 m², 500ml, 1,5 l", "dois quilos, um metro quadrado, quinhentos mililitros, um vírgula cinco litros"),
        ("CEP 01310-100", "CEP zero um três um zero, um zero zero"),
        ("123.456.789-09", "um dois três, quatro cinco seis, sete oito nove, zero nove"),
        ("pedido 12345678", "pedido um dois três quatro cinco seis sete oito"),
        ("AB12", "AB um dois"),
        ("1º e 2ª", "primeiro e segunda"),
        ("www.flor.com.br/p/12?x=9!", "flor ponto com ponto br barra p barra um dois!"),
        ("ana_b@flor.com", "ana sublinhado b arroba flor ponto com"),
        ("**Oi** 😀 _tudo_ `bem`?", "Oi tudo bem?"),
        ("# Preços\n- creme\n- [sabão](https://x.y/z)", "Preços\ncreme\nsabão"),
        ("3️⃣ itens ✅", "três itens"),
        ("1.2.3", "um ponto dois ponto três"),
        ("creme & sabão", "creme e sabão"),
    ],
    "es": [
        ("1.234,56 €", "mil doscientos treinta y cuatro euros con cincuenta y seis céntimos"),
        ("21 €", "veintiún euros"),
        ("14:30 y 9:00", "catorce y treinta y nueve horas"),
        ("21:30", "veintiuna y treinta"),
        ("20/11/2026", "veinte de noviembre de dos mil veintiséis"),
        ("2,5%", "dos coma cinco por ciento"),
        ("21 kg", "veintiún kilos"),
    ],
    "es-MX": [
        ("$1,234.50", "mil doscientos treinta y cuatro pesos con cincuenta centavos"),
        ("2.5%", "dos punto cinco por ciento"),
    ],
    "en-US": [
        ("$1,234.56", "one thousand two hundred thirty-four dollars and fifty-six cents"),
        ("$2 million", "two million dollars"),
        ("2:30 pm or 14:30", "two thirty p.m. or two thirty p.m."),
        ("9:05, 9:00, 12:00", "nine oh five, nine o'clock, noon"),
        ("11/20/2026", "November twentieth, two thousand twenty-six"),
        ("1st, 22nd", "first, twenty-second"),
        ("10.5%", "ten point five percent"),
        ("(415) 555-1234", "four one five, five five five, one two three four"),
    ],
    "en-GB": [("01/02/2026", "February first, two thousand twenty-six"), ("£3.50", "three pounds and fifty pence")],
    "": [("5 €", "five euros")],
}
LOCALES = tuple(CASES)


@pytest.mark.parametrize(
    ("locale", "written", "said"), [(locale, *case) for locale, cases in CASES.items() for case in cases]
)
def test_it_is_read_as_a_person_would(locale: str, written: str, said: str) -> None:
    assert aloud(written, locale) == said


AWKWARD = st.text(alphabet="0123456789.,:/-+%$R€£hxº°@&()[]|*_#~?! \n\u00a0apkgmlm²T🙂\ufe0f\u20e3é½٣", max_size=60)


@settings(max_examples=300, deadline=None)
@given(text=AWKWARD | st.text(max_size=60), locale=st.sampled_from(LOCALES))
def test_it_never_raises_and_leaves_no_figure(text: str, locale: str) -> None:
    assert not re.search("[0-9]", aloud(text, locale))


@settings(max_examples=200, deadline=None)
@given(
    numbers=st.lists(st.integers(1, 10**6 - 1), min_size=1, max_size=5),
    frame=st.sampled_from(("{}", "R$ {}", "{}%", "{} kg", "**{}**", "({})", "- {}", "a {} b", "\u00a0{}\u00a0€")),
    between=st.sampled_from((" e ", "; ", "\n", " | ", " — ")),
)
def test_no_number_is_lost(numbers: list[int], frame: str, between: str) -> None:
    said = aloud(between.join(frame.format(number) for number in numbers), "pt-BR")

    at = 0
    for number in numbers:
        words = cardinal(number, "pt")
        at = said.find(words, at) + len(words)
        assert at >= len(words), (number, said)


@settings(max_examples=200, deadline=None)
@given(figures=st.text("0123456789", min_size=7, max_size=40), locale=st.sampled_from(("pt-BR", "es", "en")))
def test_no_figure_of_a_long_number_is_lost(figures: str, locale: str) -> None:
    assert aloud(f"x {figures} y", locale) == f"x {digits(figures, locale[:2])} y"


@given(number=st.integers(0, LARGEST), tongue=st.sampled_from(("pt", "es", "en")))
def test_numbers_that_differ_sound_different(number: int, tongue: str) -> None:
    said = cardinal(number, tongue)
    assert said == " ".join(said.split())
    assert said != cardinal(number - 1 if number else 1, tongue)


@pytest.mark.parametrize(
    ("number", "tongue", "said"),
    [
        (100, "pt", "cem"),
        (101, "pt", "cento e um"),
        (1100, "pt", "mil e cem"),
        (2016, "pt", "dois mil e dezesseis"),
        (1_200_000, "pt", "um milhão e duzentos mil"),
        (21_000, "es", "veintiún mil"),
        (31, "es", "treinta y uno"),
        (10**12, "es", "un billón"),
        (1_000_001, "es", "un millón uno"),
        (999, "en", "nine hundred ninety-nine"),
    ],
)
def test_numerals(number: int, tongue: str, said: str) -> None:
    assert cardinal(number, tongue) == said


def test_what_is_counted_bends_the_number() -> None:
    assert cardinal(2_222, "pt", feminine=True) == "duas mil duzentas e vinte e duas"
    assert cardinal(221, "es", feminine=True) == "doscientas veintiuna"
    assert cardinal(31, "es", counts=True) == "treinta y un"
    assert ordinal(21, "pt", feminine=True) == "vigésima primeira"


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_numbers_without_words_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        cardinal(number, "pt")
