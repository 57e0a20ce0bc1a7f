"""Where is my order? One tool for the assistant, over a dictionary that stands for a shop's system."""

from __future__ import annotations

from prosa.contracts import Caller, Json, Run, ToolContext, ToolOffer, ToolResult
from prosa.hookspecs import hookimpl

ORDERS = {
    ("5511987650001", "1042"): "left on Monday and should arrive by Thursday",
    ("5511987650002", "1043"): "is being packed",
}
"""By the customer's number and the order's: a stand-in for a call to the shop's system."""

SCHEMA: Json = {
    "type": "object",
    "properties": {"order": {"type": "string", "pattern": "^[0-9]{1,10}$", "description": "The order's number."}},
    "required": ["order"],
    "additionalProperties": False,
}


def make(caller: Caller) -> Run | None:
    """The tool for one customer, who is known by the number that the channel proves."""

    async def run(_context: ToolContext, given: Json) -> ToolResult:
        state = ORDERS.get((caller.number, given["order"]))
        if state is None:  # the same words whether it is somebody else's or nobody's
            return ToolResult(f"This customer has no order {given['order']}.", error=True)
        return ToolResult(f"Order {given['order']} {state}.")

    return run


@hookimpl
def tools() -> list[ToolOffer]:
    """What this package offers."""
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
