"""Which tools of plug-ins are offered, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from prosa import plugins
from prosa.contracts import Caller, Json, ToolContext, ToolOffer, ToolResult
from prosa.conversations.acts import offers
from prosa.hookspecs import hookimpl

SCHEMA: Json = {"type": "object", "properties": {"order": {"type": "string"}}, "additionalProperties": False}
CALLER = Caller(1, 2, 3, "rest")


def make(caller: Caller) -> Any:
    async def run(_: ToolContext, __: Json) -> ToolResult:
        return ToolResult(f"of contact {caller.contact_id}")

    return run


GOOD = ToolOffer("order_status", "Where it is.", SCHEMA, make)


@pytest.fixture
def plugin() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Register what a plug-in's ``tools`` gives."""
    registered = []

    def add(tools: Callable[[], Any]) -> None:
        class Plugin:
            @hookimpl
            def tools(self) -> Any:
                return tools()

        made = Plugin()
        plugins.manager().register(made)
        registered.append(made)
        offers.offered.cache_clear()

    yield add
    for made in registered:
        plugins.manager().unregister(made)
    offers.offered.cache_clear()


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (replace(GOOD, name="order status"), "a name has"),
        (replace(GOOD, description=" "), "description"),
        (replace(GOOD, risk="explosive"), "risk"),
        (replace(GOOD, identity="king"), "identity"),
        (replace(GOOD, schema={"type": "string"}), "type object"),
        (replace(GOOD, schema={"type": "object", "properties": {"a": {"type": "strong"}}}), "schema is wrong"),
        (replace(GOOD, schema={"type": "object", "properties": {"customer_id": {"type": "string"}}}), "customer_id"),
        ("a string", "ToolOffer"),
    ],
)
def test_what_cannot_be_offered_is_told(offer: Any, says: str) -> None:
    assert says in offers.problem(offer)


def test_a_bad_one_takes_no_good_one_with_it(plugin: Callable[..., None]) -> None:
    def broken() -> Any:
        raise RuntimeError("no such shop")

    plugin(broken)
    plugin(lambda: [replace(GOOD, name="1st"), GOOD, replace(GOOD, description="Another.")])
    usable, problems = offers.offered()
    assert [offer for offer in usable if offer.name == "order_status"] == [GOOD]
    assert sorted(problem.partition(":")[2].strip()[:12] for problem in problems) == ["RuntimeError", "a name has l", "there is one"]  # fmt: skip
    assert {finding.level for finding in offers.findings()} == {"error"}


async def test_a_tool_is_made_for_its_caller_or_not_at_all(plugin: Callable[..., None]) -> None:
    def fails(_: Caller) -> Any:
        raise RuntimeError("no such shop")

    plugin(lambda: [GOOD, replace(GOOD, name="nothing", make=lambda _: None), replace(GOOD, name="fails", make=fails)])
    found = {tool.name: tool for _, tool in offers.made(CALLER)}
    assert "nothing" not in found
    assert "fails" not in found
    assert (await found["order_status"].run(None, {})).text == "of contact 3"  # type: ignore[arg-type]
