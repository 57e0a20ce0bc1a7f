"""The tool tells customers of their own orders, and of nobody else's."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import prosa_orders
from prosa.contracts import Caller, Identity, Line, ToolContext, Turn
from prosa.testing import check_tool

ANA = Caller(business_id=1, conversation_id=7, contact_id=3, channel="whatsapp_cloud", identity="number", number="5511987650001")  # fmt: skip


def ask(caller, **arguments):
    now = datetime.now(UTC)
    turn = Turn("Shop", "en", caller.channel, (Line("customer", "where is it?", now),), now)
    return asyncio.run(prosa_orders.make(caller)(ToolContext(turn, "call-1"), arguments))


def test_it_can_be_offered():
    for offer in prosa_orders.tools():
        check_tool(offer)


def test_an_order_of_ones_own():
    assert ask(ANA, order="1042").text == "Order 1042 left on Monday and should arrive by Thursday."


def test_an_order_of_somebody_else_is_like_none():
    others, none = ask(ANA, order="1043"), ask(ANA, order="9999")
    assert others.error
    assert others.text.replace("1043", "9999") == none.text


def test_the_linked_customer_comes_before_the_number():
    async def linked(kind):
        return "8" if kind == "shop" else ""

    assert ask(replace(ANA, linked=linked), order="1043").text == "Order 1043 is being packed."


def test_the_desk_finds_the_buyer_and_shows_the_orders():
    register = prosa_orders.customer_registers()[0]
    (ana,) = register.find(1, [Identity("phone", "551187650001", "")])
    assert (ana.key, ana.phone) == ("7", "5511987650001")
    assert [each.key for each in register.search(1, "rui")] == ["8"]
    assert [each.title for each in register.profile(1, ana.key).orders] == ["#1042"]
    assert register.profile(1, "nobody") is None
