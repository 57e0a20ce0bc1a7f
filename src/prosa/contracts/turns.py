"""A turn of the mind: what an agent may know, and what it proposes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from prosa.contracts.messages import Json, Option
from prosa.contracts.passages import ApprovedAnswer, Passage
from prosa.contracts.tools import Action, Deed, IdentityLevel, Tool, ToolResult


@dataclass(frozen=True, slots=True)
class File:
    """A stored file of a customer. ``mime`` and ``name`` are what they say; ``size`` in bytes; ``kind`` as in :data:`MediaKind`."""

    path: Path
    mime: str
    size: int
    kind: str = "document"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A message as the model reads it. ``author``: customer, bot, agent, owner_phone or system.

    ``voice``: its text was spoken and written down by a machine. ``files`` travel with a question, never with history.
    """

    author: str
    text: str
    at: datetime
    id: int = 0
    voice: bool = False
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Handoff:
    """The wish to pass a conversation to people. ``turns.finish`` carries it out. ``reason``: a code of ``conversations.reasons``,
    or words for the team."""

    reason: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """The wish to ask people of the business one question while the conversation goes on. ``turns.finish`` carries it out."""

    question: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What people of the business were asked for this customer, and when. ``answer``: None while nobody has answered, empty
    when they cannot; else the customer is told it in this turn."""

    question: str
    at: datetime
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One thing to say, in Markdown. The channel decides how many bubbles it becomes."""

    text: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Specialist:
    """One of those who share a business's conversations, as an agent plays it.

    ``about`` tells the others, in a sentence, what it is for; ``instructions`` tells itself how it works. ``guidelines``
    and ``tools`` are those it goes by; ``model`` answers instead of the turn's, when it names one. ``keywords`` in a
    customer's first words choose it.
    """

    name: str
    about: str
    instructions: str
    guidelines: str = ""
    tools: tuple[Tool, ...] = ()
    model: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One specialist passed the conversation to another, and why."""

    origin: str
    to: str
    reason: str


Execute = Callable[[Tool, Json, Callable[[str], Awaitable[ToolResult]]], Awaitable[ToolResult]]
"""The tool, its arguments, and the doing of it under a key: gives its result, or the one kept of an earlier try."""


@dataclass(frozen=True, slots=True)
class Turn:
    """All an agent may know when it answers: no ids it could leak, no connection it could hold.

    ``question`` holds every unanswered message, oldest first; ``history`` what came before, oldest first.
    Deadlines in seconds. ``words`` are the business's fixed sentences in the customer's language
    (keys: ``unknown``, ``offer_person``). ``approved`` looks up approved answers, ``passages`` knowledge, best first.
    ``identity`` is how surely the customer is known, ``customer_number`` their number when the channel shows it.
    ``request_tokens`` is the most one request should bring a model (history gives way, then tools; rules never do),
    ``answer_tokens`` the most it may write; 0 is no limit. ``allowance``: US dollars the turn may cost; half of it spent
    ends the use of tools, all of it the asking of models. ``spent`` hears of each answer of a model as it arrives, with
    the model's name: what was paid for counts, whatever becomes of the turn. ``strict`` names the topic of a text on which
    only approved answers may be said, word by word; empty for none.
    At most ``max_requests`` answers of models and ``max_tool_calls`` calls of tools a turn; ``tool_deadline`` is for
    each tool. ``before_write`` is called once, just before the first write tool runs: from then on the turn should not be
    cancelled because of newer messages. ``document_text`` gives the text of a PDF that a model cannot read itself (it blocks,
    and may raise anything). ``spoken``: the answer will be heard, not read. ``proposals`` names what the agent may propose: what the caller carries out.
    ``specialist`` is who answers, by ``role``, its instructions; ``specialists`` are those the conversation may be passed
    to besides, itself included, and empty where there is nobody else. ``teams`` are those a person
    may be brought in from: name, and what it is for. ``audience``: a customer, or a ``member`` of the
    business who asks about it.
    ``execute`` does what a writing tool does, at most once however often the turn is tried. ``confirms``: the caller asks
    the customer about an :class:`Action` and reads the answer; else no destructive tool is offered. ``deeds`` are those the
    question confirmed: done already, to be told.
    ``asked`` is the question to people of the business that is open, or whose answer the customer is to hear.
    ``summary`` stands for what was said before ``history``, ``facts`` are what the customer told about themselves
    earlier: both are data of strangers.
    """

    business_name: str
    locale: str
    channel: str
    question: tuple[Line, ...]
    now: datetime
    history: tuple[Line, ...] = ()
    guidelines: str = ""
    guideline_version: int = 0
    customer_name: str = ""
    model: str = "offline"
    fallback_models: tuple[str, ...] = ()
    history_tokens: int = 6000
    request_deadline: float = 30.0
    turn_deadline: float = 60.0
    words: Mapping[str, str] = field(default_factory=dict)
    approved: Callable[[str], Awaitable[Sequence[ApprovedAnswer]]] | None = None
    passages: Callable[[str], Awaitable[Sequence[Passage]]] | None = None
    tools: tuple[Tool, ...] = ()
    identity: IdentityLevel = "anonymous"
    customer_number: str = ""
    max_requests: int = 6
    max_tool_calls: int = 12
    tool_deadline: float = 10.0
    before_write: Callable[[], None] | None = None
    document_text: Callable[[bytes], str] | None = None
    spoken: bool = False
    proposals: frozenset[str] = frozenset({"bring_in_person", "resolve", "remember", "send_options"})
    request_tokens: int = 0
    answer_tokens: int = 0
    allowance: Decimal | None = None
    spent: Callable[[str, Usage], None] | None = None
    strict: Callable[[str], str] | None = None
    specialist: str = ""
    role: str = ""
    specialists: tuple[Specialist, ...] = ()
    teams: tuple[tuple[str, str], ...] = ()
    audience: Literal["customer", "member"] = "customer"
    execute: Execute | None = None
    confirms: bool = False
    deeds: tuple[Deed, ...] = ()
    summary: str = ""
    facts: tuple[str, ...] = ()
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of one turn. ``cost`` in US dollars; None = the model's price is not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    requests: int = 0
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What an agent proposes. Conversations decide whether any of it happens.

    ``model`` is the one that answered (``offline`` when none did). ``trace`` explains: attempts per model with
    error and time, sources, sizes, tool calls, rejected drafts. ``resolved`` is the wish to close the conversation, with
    what was settled; ``facts`` what is worth remembering of the customer; ``sources`` the passages that were read.
    ``asks`` is the wish to ask people something; ``relays``: the replies tell what people answered to ``Turn.asked``.
    ``transfer``: another specialist answered than began. ``action``: the replies ask the customer to confirm it. ``stages`` are milliseconds per stage. ``wrote`` is True when a write tool ran, after which a newer message may no longer cancel the answer.
    """

    replies: tuple[Reply, ...]
    model: str
    usage: Usage = Usage()
    handoff: Handoff | None = None
    wrote: bool = False
    error: str = ""
    trace: Json = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    resolved: str | None = None
    facts: tuple[str, ...] = ()
    sources: tuple[Passage, ...] = ()
    transfer: Transfer | None = None
    action: Action | None = None
    asks: Ask | None = None
    relays: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears when a conversation changes hands: ``chore`` is deferred with ``conversation_id`` in the transaction of the move.

    ``kinds`` are moves (``handed_off``, ``assigned``…), or what is told beside them (``escalated``, ``case_asked``…). While one call waits to be done, no second one is deferred, so the
    chore looks up what is true when it runs.
    """

    kinds: frozenset[str]
    chore: Any
    name: str
