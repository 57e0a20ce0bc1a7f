"""The tool tells customers of their own orders, and of nobody else's."""

import asyncio
from datetime import UTC, datetime

import prosa_orders
from prosa.contracts import Caller, Line, ToolContext, Turn
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
