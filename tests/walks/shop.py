"""A shop's tools, as a plug-in: where an order is (for those who proved who they are), a new address (a write), a
cancellation (destructive). What they did is in ``done``; ``during`` is awaited while they do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prosa.contracts import Caller, Json, ProofOffer, ToolContext, ToolOffer, ToolResult
from prosa.errors import BadInput
from prosa.hookspecs import hookimpl


def _schema(**fields: str) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": told} for name, told in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


class Shop:
    """See the module."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Json, str]] = []
        """(tool, arguments, key) of everything that happened."""
        self.numbers: Sequence[str] = ("4821",)
        self.during: Callable[[], Awaitable[None]] | None = None
        self.idempotent = False
        self.cancel_identity: Any = "number"

    @hookimpl
    def identity_proofs(self) -> list[ProofOffer]:
        async def expected(_: Caller) -> Sequence[str]:
            return self.numbers

        return [ProofOffer("order_number", "the number of a recent order", expected)]

    @hookimpl
    def tools(self) -> list[ToolOffer]:
        def asks(given: Json, _locale: str) -> str:
            return f"Confirma o cancelamento do pedido {given['order']}? Isso não pode ser desfeito."

        return [
            ToolOffer(
                "order_status", "Where an order is.", _schema(order="Its number."), self._status, identity="verified"
            ),
            ToolOffer(
                "change_address",
                "Change where an order goes.",
                _schema(order="Its number.", address="Street and number."),
                lambda _: self._does("change_address", "O endereço foi trocado."),
                risk="write",
                idempotent=self.idempotent,
            ),
            ToolOffer(
                "cancel_order",
                "Cancel an order.",
                _schema(order="Its number."),
                lambda _: self._does("cancel_order", "O pedido foi cancelado."),
                risk="destructive",
                identity=self.cancel_identity,
                asks=asks,
            ),
        ]

    def _status(self, caller: Caller) -> Any:
        async def run(_: ToolContext, given: Json) -> ToolResult:
            return ToolResult(
                f"O pedido {given['order']} saiu para entrega.", record={"erp_id": f"SO-{caller.contact_id}-77"}
            )

        return run

    def _does(self, name: str, says: str) -> Any:
        async def run(context: ToolContext, given: Json) -> ToolResult:
            if given["order"] == "0":
                raise BadInput("Esse pedido não existe.")
            self.done.append((name, given, context.key))
            if self.during is not None:
                await self.during()
            return ToolResult(says, record={"erp_code": "E-OK-200"})

        return run

    def names(self) -> list[str]:
        return [name for name, _, _ in self.done]
