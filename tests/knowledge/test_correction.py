"""A question is embedded with its mistyped words as the business spells them, and with everything else as it was written."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from prosa.business.models import Business
from prosa.knowledge import correction, index, ranking
from prosa.postgres import connections, shared

pytestmark = pytest.mark.django_db(transaction=True)

TOLD = [
    "The printer in the second office is broken; the technician repairs printers on Tuesday. Replacement cartridges are included.",
    "A entrega para São Paulo demora três dias. A instalação da impressora está incluída na garantia.",
    "The Samsung display is replaced within a week. Delivery of the package takes two days, translated manuals are on request.",
]


@pytest.fixture
def office() -> Business:
    made = Business.objects.create(name="Office", slug="office")
    index.store(made.pk, [index.Entry(str(at), "", (index.Piece(text),)) for at, text in enumerate(TOLD)])
    return made


def corrected(owner: Business, text: str) -> str:
    async def run() -> str:
        async with connections.pool(shared.dsn(), high=1) as pool, pool.connection() as connection:
            asked = await ranking.weigh(connection, owner.pk, text)
            return await correction.corrected(connection, owner.pk, text, asked)

    return async_to_sync(run)()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("is the broken pritner in the office?", "is the broken printer in the office?"),
        ("the display or the packge?", "the display or the package?"),
        ("Techncian for the printer?", "Technician for the printer?"),
        ("printer in the office brokken brekon", "printer in the office broken brekon"),
        ("PRITNER REPAIRS IN THE OFFICE", "PRINTER REPAIRS IN THE OFFICE"),
        ("The Broken Pritner of the Office", "The Broken Printer of the Office"),
        ("a instlação da impressora demora?", "a instalação da impressora demora?"),
        ("a instalaçao da imprssora  — quando?", "a instalaçao da impressora  — quando?"),
    ],
)  # fmt: skip
def test_a_slip_is_put_right_and_the_rest_stays(office: Business, written: str, meant: str):
    assert corrected(office, written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "is the printer in the office broken?",
        "does Samsumg repair the printer in the office?",  # a name
        "the office has the eSamsung printer",
        "the printer of model pritner2 in the office",
        "the office printer, write to pritner@example.com or see example.pritner.com",
        "order 4512345 of the office printer",
        "the printer of zoffice is broken",
        "the ofice",  # nothing else says that it is about this business
        "il technicien répare la imprimante dans le bureua",
        "the printer, translation of the office manuals",  # another form of a word it knows
        "",
        "?!",
    ],
)
def test_what_is_not_clearly_mistyped_stays(office: Business, written: str):
    assert corrected(office, written) == written


def test_the_words_of_another_business_correct_nothing(office: Business):
    other = Business.objects.create(name="Other", slug="other")
    index.store(other.pk, [index.Entry("one", "", (index.Piece("The bakery of the office sells bread."),))])
    assert corrected(other, "the bakery sells pritners and bred to the office") == (
        "the bakery sells pritners and bred to the office"
    )
    assert corrected(other, "the bakrey sells bread to the office") == "the bakery sells bread to the office"


def test_known_words_cost_no_query(office: Business, monkeypatch: pytest.MonkeyPatch):
    looks: list[int] = []
    count = ranking.count

    async def watched(connection: Any, business_id: int, terms: Any) -> Any:
        looks.append(len(terms))
        return await count(connection, business_id, terms)

    monkeypatch.setattr(ranking, "count", watched)
    corrected(office, "is the printer in the office broken?")
    assert len(looks) == 1
    corrected(office, "is the pritner in the office broken?")
    assert len(looks) == 1 + 3
