"""What a model may call, whom it serves, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from prosa.contracts.messages import Json
from prosa.contracts.passages import Passage

if TYPE_CHECKING:
    from prosa.contracts.turns import Turn

Risk = Literal["read", "write", "destructive"]
IdentityLevel = Literal["anonymous", "number", "verified"]
IDENTITY_LEVELS: tuple[IdentityLevel, ...] = ("anonymous", "number", "verified")
"""How surely we know who writes, weakest first: not at all, by a number the channel proves, by a proof beyond it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool found or did. ``text`` is all that the model reads of it; ``sources`` are the passages it stands on.

    ``error``: it did not work; ``text`` then says so in words the model may repeat. ``unsure``: nobody knows whether it
    happened. ``record``: what people and the execution ledger keep beside it (ids, codes); no model ever sees it.
    ``identity``: how surely the customer is known from now on, when the tool proved it.
    """

    text: str
    sources: tuple[Passage, ...] = ()
    error: bool = False
    unsure: bool = False
    record: Json = field(default_factory=dict)
    identity: IdentityLevel | None = None


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool knows beside its arguments: the turn, and the model's name for this call (unique within the turn).

    ``key`` names one writing across crashes and retries: what is done under the same key twice should happen once. Empty
    for reading tools.
    """

    turn: Turn
    call: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a model may call. Who the customer is never stands in ``schema``: ``run`` was made knowing it.

    ``schema``: the JSON schema (type object) of the arguments, checked before ``run`` sees them.
    ``run`` gives a projection: the words a customer may read, without ids of ours, roles or error codes. Those go into
    ``ToolResult.record``. :class:`~prosa.errors.BadInput` says that nothing happened and why; after any other error of a
    writing tool nobody knows, and it is not repeated.
    ``risk``: ``read`` changes nothing and may run beside others; ``write`` changes something that can be undone;
    ``destructive`` cannot be undone: a call only proposes it, and it runs when the customer's later message confirms it.
    ``identity``: the least the turn must know of the customer for the tool to be offered at all.
    ``idempotent``: what runs twice under one ``ToolContext.key`` happens once, so a call of unknown outcome may be repeated.
    ``secret``: arguments that stand in no trace and no ledger. ``asks``: what the customer of a destructive tool is
    asked, of its arguments and the locale; without it the model words the question.
    """

    name: str
    description: str
    schema: Json
    run: Callable[[ToolContext, Json], Awaitable[ToolResult]]
    risk: Risk = "read"
    identity: IdentityLevel = "anonymous"
    idempotent: bool = False
    secret: frozenset[str] = frozenset()
    asks: Callable[[Json, str], str] | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A call of a destructive tool, waiting for the customer's yes. ``key`` is a name nobody can guess."""

    key: str
    tool: str
    arguments: Json
    identity: IdentityLevel = "anonymous"


@dataclass(frozen=True, slots=True)
class Deed:
    """What the customer confirmed, and what became of it before the model was asked."""

    tool: str
    arguments: Json
    result: ToolResult


async def _nowhere(_kind: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a tool serves, as the conversation knows it, never as a model says it.

    ``identity`` is how surely the customer is known; ``number`` theirs when the channel proves it, digits only.
    ``channel`` is the inbox's kind. ``linked`` is asked with the kind of a register (``odoo``) and gives the key of the customer
    the contact is linked to there, or nothing: see :class:`~prosa.contracts.CustomerRegister`.
    """

    business_id: int
    conversation_id: int
    contact_id: int
    channel: str
    identity: IdentityLevel = "anonymous"
    number: str = ""
    locale: str = ""
    linked: Callable[[str], Awaitable[str]] = field(default=_nowhere, compare=False, repr=False)


Run = Callable[[ToolContext, Json], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that a plug-in, or an app of the house, offers to every business: see ``hookspecs.tools``.

    ``make`` is called once a turn with the :class:`Caller` and gives the tool's ``run``, or None where it has nothing to
    offer (another business, another channel). It must be quick: what waits belongs into ``run``.
    ``specialists``: the names of those who get it; none = all of them. ``fresh_s``: seconds for which what a reading tool
    found stays good for the same arguments, of the same customer, or of all of them when it is ``common``. The rest as in
    :class:`Tool`.
    """

    name: str
    description: str
    schema: Json
    make: Callable[[Caller], Run | None]
    risk: Risk = "read"
    identity: IdentityLevel = "anonymous"
    specialists: tuple[str, ...] = ()
    fresh_s: float = 0.0
    common: bool = False
    idempotent: bool = False
    secret: frozenset[str] = frozenset()
    asks: Callable[[Json, str], str] | None = None


@dataclass(frozen=True, slots=True)
class ProofOffer:
    """A way for a customer to show who they are, beyond the number of the channel: see ``hookspecs.identity_proofs``.

    ``asks`` says what the customer is asked for ("the number of a recent order"). ``expected`` gives the values that the
    business's own rows hold for this contact, never what the conversation said; none = it cannot be proved this way. Letters
    and digits are compared, in constant time, by us; expected values of fewer than three prove nothing.
    """

    name: str
    asks: str
    expected: Callable[[Caller], Awaitable[Sequence[str]]]
