"""Who answers: one table from (state, event) to state. ``ownership`` is the only one that walks it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from prosa.conversations.models import State


class Move(StrEnum):
    """What can change who answers."""

    HAND_OFF = "handed_off"
    """The bot, a keyword or a policy passes the conversation to people."""
    TAKE = "taken"
    """A person took it in the admin or the desk."""
    REPLY = "person_replied"
    """A person wrote to the customer, from anywhere."""
    GIVE_BACK = "given_back"
    """A person returned it to the bot."""
    RESOLVE = "resolved"
    """It is done. A new message re-opens it or starts another (``inbound.sql``, query ``converse``)."""


TABLE: dict[tuple[State, Move], State] = {
    (State.BOT, Move.HAND_OFF): State.AWAITING_AGENT,
    (State.BOT, Move.TAKE): State.AGENT_ACTIVE,
    (State.BOT, Move.REPLY): State.AGENT_ACTIVE,
    (State.BOT, Move.RESOLVE): State.RESOLVED,
    (State.AWAITING_AGENT, Move.TAKE): State.AGENT_ACTIVE,
    (State.AWAITING_AGENT, Move.REPLY): State.AGENT_ACTIVE,
    (State.AWAITING_AGENT, Move.GIVE_BACK): State.BOT,
    (State.AWAITING_AGENT, Move.RESOLVE): State.RESOLVED,
    (State.AGENT_ACTIVE, Move.TAKE): State.AGENT_ACTIVE,
    (State.AGENT_ACTIVE, Move.REPLY): State.AGENT_ACTIVE,
    (State.AGENT_ACTIVE, Move.GIVE_BACK): State.BOT,
    (State.AGENT_ACTIVE, Move.RESOLVE): State.RESOLVED,
}

SETTLES = frozenset({Move.REPLY, Move.RESOLVE})
"""After these the customer's waiting messages need no answer from the bot any more."""


@dataclass(frozen=True, slots=True)
class Arrows:
    """The transitions of one move as two columns, the way ``ownership.sql`` reads them."""

    froms: list[str]
    tos: list[str]


def arrows(move: Move) -> Arrows:
    """All states the move applies in, and where it leads."""
    pairs = [(str(source), str(target)) for (source, event), target in TABLE.items() if event is move]
    return Arrows([source for source, _ in pairs], [target for _, target in pairs])
