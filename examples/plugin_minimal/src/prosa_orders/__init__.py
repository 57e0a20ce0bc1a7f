"""Where is my order? A tool for the assistant and the customer for the desk, over a dictionary that stands for a shop's system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from prosa import phones
from prosa.contracts import (
    Caller,
    Candidate,
    CustomerRegister,
    Identity,
    Json,
    Order,
    Profile,
    Run,
    ToolContext,
    ToolOffer,
    ToolResult,
)
from prosa.hookspecs import hookimpl

KIND = "shop"


@dataclass(frozen=True)
class Buyer:
    """A customer of the shop, with what they ordered: number → (day, total, state)."""

    name: str
    phone: str
    city: str
    orders: dict[str, tuple[date, str, str]]


BUYERS = {
    "7": Buyer(
        "Ana Souza",
        "5511987650001",
        "São Paulo",
        {"1042": (date(2026, 11, 16), "R$ 189,90", "left on Monday and should arrive by Thursday")},
    ),
    "8": Buyer("Rui Lima", "5511987650002", "Santos", {"1043": (date(2026, 11, 18), "R$ 45,00", "is being packed")}),
}
"""By the customer's number: a stand-in for calls to the shop's system. A real one asks that of ``business_id``."""

SCHEMA: Json = {
    "type": "object",
    "properties": {"order": {"type": "string", "pattern": "^[0-9]{1,10}$", "description": "The order's number."}},
    "required": ["order"],
    "additionalProperties": False,
}


def make(caller: Caller) -> Run | None:
    """The tool for one customer: the one the contact is linked to, else who has the number that the channel proves."""

    async def run(_context: ToolContext, given: Json) -> ToolResult:
        key = await caller.linked(KIND) or _by_number(caller.number)
        found = BUYERS[key].orders.get(given["order"]) if key in BUYERS else None
        if found is None:  # the same words whether it is somebody else's or nobody's
            return ToolResult(f"This customer has no order {given['order']}.", error=True)
        return ToolResult(f"Order {given['order']} {found[2]}.")

    return run


def _by_number(number: str) -> str:
    return next((key for key, each in BUYERS.items() if phones.same(number, each.phone)), "")


def find(_business_id: int, identities: Sequence[Identity]) -> Iterable[Candidate]:
    """Buyers with one of these numbers, however it is written."""
    return [
        _candidate(key)
        for key, each in BUYERS.items()
        if any(one.kind == "phone" and phones.same(one.value, each.phone) for one in identities)
    ]


def search(_business_id: int, words: str) -> Iterable[Candidate]:
    """Buyers whose name begins so."""
    return [_candidate(key) for key, each in BUYERS.items() if each.name.casefold().startswith(words.casefold())]


def profile(_business_id: int, key: str) -> Profile | None:
    """What the desk shows of a buyer."""
    buyer = BUYERS.get(key)
    if buyer is None:
        return None
    orders = [
        Order(f"#{number}", day, total, state, f"https://shop.example/orders/{number}")
        for number, (day, total, state) in buyer.orders.items()
    ]
    return Profile((("City", buyer.city),), orders, f"https://shop.example/customers/{key}")


def _candidate(key: str) -> Candidate:
    buyer = BUYERS[key]
    return Candidate(key, buyer.name, phone=buyer.phone, about=buyer.city)


@hookimpl
def tools() -> list[ToolOffer]:
    """The tool of this package."""
    return [
        ToolOffer(
            name="order_status",
            description="Where an order of the customer is. Ask for the order's number first when they did not give it.",
            schema=SCHEMA,
            make=make,
            risk="read",
            identity="number",
            specialists=("support",),
        )
    ]


@hookimpl
def customer_registers() -> list[CustomerRegister]:
    """The shop's buyers, for the desk."""
    return [CustomerRegister(KIND, "Shop", find, search, profile)]
