"""A turn on its way through the models: the messages so far, what they cost, and what an answer may stand on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, ModelResponse

from prosa.agents import grounding, guidelines, memory, outcomes, passages, tools
from prosa.contracts import ApprovedAnswer, Json, Line, Turn, TurnResult, Usage


@dataclass
class Work:
    """A turn on its way through the models: the messages so far and what they cost. ``lines`` of its history they read."""

    turn: Turn
    toolbox: tools.Toolbox
    trace: Json
    ends: float
    approved: Sequence[ApprovedAnswer] = ()
    lines: Sequence[Line] = ()
    told: str = ""
    messages: list[ModelMessage] = field(default_factory=list)
    spent: list[Usage] = field(default_factory=list)
    rejected: int = 0
    seen: tuple[str, ...] = ()

    @property
    def left(self) -> float:
        """Seconds until the turn must be over."""
        return self.ends - time.perf_counter()

    @property
    def last(self) -> bool:
        """Whether the next request must end in an answer."""
        turn = self.turn
        return (
            self.toolbox.exhausted
            or len(self.spent) >= turn.max_requests - 1
            or (turn.allowance is not None and self.cost * 2 >= turn.allowance)
            or (turn.request_tokens > 0 and bool(self.spent) and self.spent[-1].input_tokens >= turn.request_tokens)
        )

    @property
    def cost(self) -> Decimal:
        """US dollars so far, as far as prices are known."""
        return sum((used.cost for used in self.spent if used.cost is not None), Decimal(0))

    @property
    def over(self) -> bool:
        """Whether no model may be asked again."""
        turn = self.turn
        return len(self.spent) >= turn.max_requests or (turn.allowance is not None and self.cost >= turn.allowance)

    def spend(self, name: str, used: Usage) -> None:
        """Keep what an answer of a model cost."""
        self.spent.append(used)
        if self.turn.spent is not None:
            self.turn.spent(name, used)

    def say(self, response: ModelResponse, *parts: ModelRequestPart) -> None:
        """Add a model's message and our answer to it. Kept by the next model, should this one fail."""
        self.messages += [response, ModelRequest(parts=list(parts), instructions=self.told)]

    def follow(self) -> bool:
        """Go on as the specialist that has the conversation now; whether that is another than before."""
        turn = self.toolbox.relay.turn
        if turn.specialist == self.turn.specialist:
            return False
        self.turn, self.told = turn, guidelines.instructions(turn, self.approved)
        return True

    def evidence(self) -> list[str]:
        """Every text of the business's that a figure of the answer may come from, the likeliest first."""
        turn = self.turn
        return [
            *self.toolbox.evidence,
            self.told,
            f"{turn.now:%Y-%m-%d %H:%M}",
            turn.customer_number,
            *turn.words.values(),
            grounding.own_amounts(turn.summary),
        ]

    def ours(self) -> list[str]:
        """What our side said before, whoever said it."""
        return [line.text for line in self.lines if line.author != "customer"]

    def theirs(self) -> list[str]:
        """What the customer told, also by files and as a summary tells it: it bears out less."""
        turn = self.turn
        lines = (line.text for line in self.lines if line.author == "customer")
        return [memory.question(turn.question), *lines, *self.seen, turn.customer_name, *turn.facts, turn.summary]

    def said(self) -> list[str]:
        """What our side said before, and the business's fixed sentences."""
        answer = self.turn.asked.answer if self.turn.asked is not None else None
        told = (line.text for line in self.lines if line.author in outcomes.OURS)
        return [*self.turn.words.values(), *((answer,) if answer else ()), *told]

    def signed(self, result: TurnResult) -> TurnResult:
        """``result`` with everything the tools left behind."""
        proposed, transfer = self.toolbox.proposed, self.toolbox.relay.transfer
        if self.toolbox.trace:
            self.trace["tools"] = self.toolbox.trace
        if self.turn.specialist:
            self.trace["specialist"] = {"name": self.turn.specialist} | (
                {"from": transfer.origin, "reason": transfer.reason} if transfer else {}
            )
        if sources := tuple(self.toolbox.sources.values()):
            self.trace["passages"] = [passages.told(each) for each in sources]
        wish = result.handoff or proposed.handoff
        return replace(
            result,
            handoff=wish,
            asks=proposed.asks if wish is None else None,
            resolved=proposed.resolved,
            facts=tuple(proposed.facts),
            sources=result.sources or sources,
            transfer=transfer,
            wrote=self.toolbox.wrote,
        )
