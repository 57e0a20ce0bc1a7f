"""What the doubles can be told to do wrong.

A :class:`Rule` names one misbehaviour and how often it strikes: the next N times, or by chance. The doubles
:meth:`draw <Mischief.draw>` once for each message sent through them and once for each webhook they post.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prosa.errors import BadInput

SENDS: Final = {
    "late": "answers late",
    "rate_limited": "answers 429",
    "broken": "answers 500",
    "drop": "accepts, then drops the connection",
    "silent": "accepts, then never says what became of it",
    "undelivered": "accepts, then reports that delivery failed",
}
"""Misbehaviours of a send: the request of ours that carries a message out."""

WEBHOOKS: Final = {
    "duplicate": "posts each webhook twice",
    "out_of_order": "posts webhooks in the wrong order",
}
"""Misbehaviours of the webhooks that come to us."""

TARGETS: Final = ("*", "graph", "twilio")
MAX_RULES: Final = 50
MAX_SECONDS: Final = 300.0


@dataclass(slots=True)
class Rule:
    """One misbehaviour.

    ``times``: how many more times it strikes; None = until cleared. ``rate``: its chance each time, 0..1.
    ``seconds``: how late, for ``late`` and ``out_of_order``. ``target``: ``graph``, ``twilio`` or ``*``.
    """

    kind: str
    times: int | None = 1
    rate: float = 1.0
    seconds: float = 3.0
    target: str = "*"

    def as_json(self) -> dict[str, Any]:
        """The rule as the HTTP interface shows it."""
        return {
            "kind": self.kind,
            "times": self.times,
            "rate": self.rate,
            "seconds": self.seconds,
            "target": self.target,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes wrong this once: kinds with their ``seconds``."""

    strikes: Mapping[str, float] = field(default_factory=dict)

    def __contains__(self, kind: str) -> bool:
        return kind in self.strikes

    async def wait(self, kind: str = "late") -> None:
        """Sleep as long as the rule of this kind says; return at once when there is none."""
        if kind in self.strikes:
            await asyncio.sleep(self.strikes[kind])


class Mischief:
    """The rules in force. In memory, one per :class:`~prosa.simulator.world.World`."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.rules: list[Rule] = []
        self._chance = chance or random.Random()  # noqa: S311 - mischief needs no cryptography

    def add(
        self, kind: str, *, times: int | None = 1, rate: float = 1.0, seconds: float = 3.0, target: str = "*"
    ) -> Rule:
        """Put a rule in force.

        :raises BadInput: an unknown kind or target, or a number out of range.
        """
        if kind not in SENDS and kind not in WEBHOOKS:
            raise BadInput(f"There is no mischief named {kind!r}.\nUse one of: {', '.join([*SENDS, *WEBHOOKS])}.")
        if target not in TARGETS:
            raise BadInput(f"There is no target {target!r}.\nUse one of: {', '.join(TARGETS)}.")
        if times is not None and not 1 <= times <= 100_000:
            raise BadInput("times must lie between 1 and 100000.\nLeave it null to go on until cleared.")
        if not 0.0 < rate <= 1.0:
            raise BadInput("rate must be above 0 and at most 1.\nUse 1 to strike every time.")
        if not 0.0 <= seconds <= MAX_SECONDS:
            raise BadInput(f"seconds must lie between 0 and {MAX_SECONDS:.0f}.\nUse a shorter delay.")
        if len(self.rules) >= MAX_RULES:
            raise BadInput(f"{MAX_RULES} rules are in force already.\nClear them first.")
        rule = Rule(kind, times, rate, seconds, target)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Behave again."""
        self.rules.clear()

    def draw_send(self, target: str) -> Plan:
        """What goes wrong with a message sent through ``target`` now."""
        return self._draw(SENDS, target)

    def draw_webhook(self, target: str) -> Plan:
        """What goes wrong with a webhook posted by ``target`` now."""
        return self._draw(WEBHOOKS, target)

    def _draw(self, kinds: Mapping[str, str], target: str) -> Plan:
        strikes: dict[str, float] = {}
        for rule in list(self.rules):
            if rule.kind not in kinds or rule.target not in {"*", target} or rule.kind in strikes:
                continue
            if rule.rate < 1.0 and self._chance.random() >= rule.rate:
                continue
            strikes[rule.kind] = rule.seconds
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    self.rules.remove(rule)
        return Plan(strikes)

    def command(self, order: Any) -> list[dict[str, Any]]:
        """Carry out ``{"clear": true}`` and/or ``{"kind": …, "times"?, "rate"?, "seconds"?, "target"?}``; the rules then in force.

        :raises BadInput: it is neither.
        """
        if not isinstance(order, dict) or not ({"clear", "kind"} & order.keys()):
            raise BadInput('Expected {"kind": …} or {"clear": true}.\nSee prosa.simulator.mischief for the kinds.')
        if order.get("clear"):
            self.clear()
        if "kind" in order:
            times = order.get("times", 1)
            try:
                self.add(
                    str(order["kind"]),
                    times=None if times is None else int(times),
                    rate=float(order.get("rate", 1.0)),
                    seconds=float(order.get("seconds", 3.0)),
                    target=str(order.get("target", "*")),
                )
            except (TypeError, ValueError, OverflowError):
                raise BadInput("times, rate and seconds must be numbers.\nCorrect them and send again.") from None
        return [rule.as_json() for rule in self.rules]
