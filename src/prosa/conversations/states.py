"""Who answers: one table from (state, event) to state.

``ownership`` walks it, one statement for every move. The door walks one arrow itself, because it must do so for many webhooks at
once: a message opens again what was resolved (``inbound.sql``, query ``converse``, which is given that arrow from here).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from prosa.conversations.models import State


class Move(StrEnum):
    """What can change who answers."""

    HAND_OFF = "handed_off"
    """The bot, a keyword or a policy passes the conversation to people."""
    ASSIGN = "assigned"
    """Somebody, or the rota, gives it to a person or a team. It waits until that person takes it or writes."""
    TAKE = "taken"
    """A person took it in the desk or the admin."""
    REPLY = "person_replied"
    """A person wrote to the customer, from anywhere."""
    SNOOZE = "snoozed"
    """A person puts it aside until a time, or until the customer writes."""
    WAKE = "woken"
    """What was put aside is back."""
    GIVE_BACK = "given_back"
    """It is the bot's again, by hand or because nobody answered for long."""
    RESOLVE = "resolved"
    """It is done. A new message re-opens it or, later, starts another."""
    REOPEN = "reopened"
    """A person takes up again what was resolved."""
    CUSTOMER_WROTE = "customer_wrote"
    """The customer wrote soon after it was resolved: the bot has it again. Elsewhere a message changes nothing of who answers."""

    @property
    def line(self) -> str:
        """What the timeline calls it; re-opened is re-opened, whoever did it."""
        return str(Move.REOPEN if self is Move.CUSTOMER_WROTE else self)


_WITH_PEOPLE = (State.AWAITING_AGENT, State.AGENT_ACTIVE)
_OPEN = (State.BOT, *_WITH_PEOPLE)

TABLE: dict[tuple[State, Move], State] = {
    (State.BOT, Move.HAND_OFF): State.AWAITING_AGENT,
    **{(state, Move.ASSIGN): State.AWAITING_AGENT for state in _OPEN},
    **{(state, Move.TAKE): State.AGENT_ACTIVE for state in _OPEN},
    **{(state, Move.REPLY): State.AGENT_ACTIVE for state in _OPEN},
    **{(state, Move.SNOOZE): State.AGENT_ACTIVE for state in _WITH_PEOPLE},
    (State.AGENT_ACTIVE, Move.WAKE): State.AGENT_ACTIVE,
    **{(state, Move.GIVE_BACK): State.BOT for state in _WITH_PEOPLE},
    **{(state, Move.RESOLVE): State.RESOLVED for state in _OPEN},
    (State.RESOLVED, Move.REOPEN): State.AGENT_ACTIVE,
    (State.RESOLVED, Move.CUSTOMER_WROTE): State.BOT,
}

SETTLES = frozenset({Move.REPLY, Move.RESOLVE})
"""After these the customer's waiting messages need no answer from the bot any more."""

FREES = frozenset({Move.HAND_OFF, Move.GIVE_BACK, Move.CUSTOMER_WROTE})
"""After these the conversation is nobody's, unless the move itself names a person or a team."""


@dataclass(frozen=True, slots=True)
class Arrows:
    """The transitions of one move as two columns, the way ``ownership.sql`` reads them."""

    froms: list[str]
    tos: list[str]


def arrows(move: Move) -> Arrows:
    """All states the move applies in, and where it leads."""
    pairs = [(str(source), str(target)) for (source, event), target in TABLE.items() if event is move]
    return Arrows([source for source, _ in pairs], [target for _, target in pairs])
