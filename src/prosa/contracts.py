"""The frozen nouns that cross borders between layers.

Channels produce :class:`Parsed` from bytes and turn :class:`OutboundMessage` into a provider's call.
Conversations hand an :class:`agents <Turn>` a :class:`Turn` and get a :class:`TurnResult`. Nobody needs
to import a model to take part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]


# ── people ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Identity:
    """One way a person is known.

    ``kind``: ``phone``, ``bsuid`` (WhatsApp's business-scoped user id), ``parent_bsuid``, ``username``,
    ``user`` (an id the caller of the REST API gave), later ``psid``, ``email``…
    ``value``: canonical, what we match by (for phones: ``prosa.phones.canonical``, digits only).
    ``address``: exactly what the provider sent, what we send to; equals ``value`` when empty.
    """

    kind: str
    value: str
    address: str = ""

    @property
    def key(self) -> str:
        """``kind:value``, unique within a business."""
        return f"{self.kind}:{self.value}"


# ── what comes in ─────────────────────────────────────────────────────────────────────────────────

InboundKind = Literal[
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "list",
    "flow", "reaction", "order", "system", "edit", "revoke", "unsupported",
]  # fmt: skip

MediaKind = Literal["image", "audio", "video", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a message. ``ref`` is the provider's media id (or its URL when it has none)."""

    kind: str
    ref: str = ""
    url: str = ""
    mime_type: str = ""
    sha256: str = ""
    filename: str = ""
    size: int = 0
    voice: bool = False


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message a customer sent.

    ``routing_key`` says which inbox of ours it reached (WhatsApp: ``metadata.phone_number_id``; Twilio: ``To``).
    ``senders`` holds every identity the payload proves, strongest first.
    ``text`` is what a reader (person or model) reads: the body, the caption, the button's title, or a
    short description for kinds without words. ``payload`` keeps the kind's own data.
    ``wakes`` is False for what asks for no answer (reactions, system notes, revokes, group messages).
    """

    provider_id: str
    routing_key: str
    senders: tuple[Identity, ...]
    kind: str
    text: str
    sent_at: datetime
    sender_name: str = ""
    attachments: tuple[Attachment, ...] = ()
    reply_to: str = ""
    payload: Json = field(default_factory=dict)
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message of ours. ``status``: sent, delivered, read, played or failed.

    ``tracker`` is the opaque string given with the send, when the provider returns it.
    ``recipients`` are identities the receipt proves (a corrected ``wa_id``, a BSUID).
    """

    provider_id: str
    routing_key: str
    status: str
    at: datetime
    tracker: str = ""
    error_code: str = ""
    error_text: str = ""
    pricing: Json = field(default_factory=dict)
    recipients: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """A person of the business wrote to the customer from outside Prosa (their own phone, another tool)."""

    provider_id: str
    routing_key: str
    recipients: tuple[Identity, ...]
    kind: str
    text: str
    sent_at: datetime
    attachments: tuple[Attachment, ...] = ()
    payload: Json = field(default_factory=dict)
    recipient_name: str = ""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """The same person under a new identity (``user_changed_number``, ``user_changed_user_id``)."""

    routing_key: str
    old: tuple[Identity, ...]
    new: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the account or the channel, not about a conversation.

    ``level``: info, warning or error. ``topic`` is the provider's own name for it.
    """

    routing_key: str
    topic: str
    level: str
    text: str
    payload: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything one webhook POST held, in its order. ``strange`` names what was recognised but not understood."""

    messages: tuple[InboundMessage, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    takeovers: tuple[Takeover, ...] = ()
    changes: tuple[IdentityChange, ...] = ()
    notices: tuple[Notice, ...] = ()
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboxConfig:
    """An inbox as the hot path and the providers see it: decrypted, immutable, cached per process.

    Durations in milliseconds or seconds as named. ``credentials`` keys are those the provider declares.
    """

    id: int
    business_id: int
    kind: str
    slug: str
    routing_key: str
    credentials: Mapping[str, str]
    verify_token: str = ""
    active: bool = True
    is_default: bool = False
    troubled: bool = False
    quiet_ms: int = 1500
    max_quiet_ms: int = 6000
    reopen_s: int = 86400
    public_url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Without credentials: this object ends up in tracebacks."""
        return f"InboxConfig(id={self.id}, kind={self.kind!r}, slug={self.slug!r})"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request at the door. ``headers`` have lower-case names; ``url`` is the public one, as the provider signed it."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str = ""


# ── what goes out ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Option:
    """A choice shown to the customer: a reply button or a list row. ``id`` comes back when it is chosen."""

    id: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One bubble, already within the channel's limits and in its own marks (see ``Provider.compose``).

    ``kind``: text, image, audio, video, document, sticker, buttons, list, cta, location, contacts, reaction, template.
    ``payload``: what the kind needs beyond text (``options``, ``button``, ``url``, ``template``, ``language``,
    ``components``, ``latitude``…), plain JSON. ``attachment`` for media kinds; ``media_path`` is a local file to upload.
    ``tracker`` is sent along where the provider returns it on receipts.
    """

    kind: str
    text: str = ""
    to: tuple[Identity, ...] = ()
    reply_to: str = ""
    attachment: Attachment | None = None
    media_path: str = ""
    payload: Json = field(default_factory=dict)
    tracker: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted a message. ``status`` is ``sent`` (accepted) or, for channels we serve ourselves,
    ``delivered``. ``identities``: what the answer proves about the recipient."""

    provider_id: str
    status: str = "sent"
    identities: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """A file on its way from a provider. Iterate ``chunks`` once; sizes in bytes, -1 when unknown."""

    mime_type: str
    size: int
    sha256: str
    filename: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``prosa doctor`` or of a credentials test. ``level``: ok, info, warning or error; ``fix`` is the next move."""

    level: str
    subject: str
    text: str
    fix: str = ""


# ── a turn of the mind ────────────────────────────────────────────────────────────────────────────


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
class ApprovedAnswer:
    """An answer of the business that may be said word by word. ``score`` in 0..1."""

    id: int
    question: str
    answer: str
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the business's knowledge that may answer a question. ``score`` in 0..1, ``date`` as the source gives it.

    ``section`` is the heading it stands under, ``url`` where a person can read on, ``language`` pt, es or en,
    ``document`` the name its source gives the document. ``lexical`` (0..1) and ``vector`` (a cosine) are what the two
    ways of finding it say; None where one did not look.
    """

    chunk_id: int
    title: str
    section: str
    text: str
    score: float
    url: str = ""
    date: str = ""
    language: str = ""
    document: str = ""
    lexical: float | None = None
    vector: float | None = None


@dataclass(frozen=True, slots=True)
class Handoff:
    """The wish to pass a conversation to people. ``turns.finish`` carries it out."""

    reason: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One thing to say, in Markdown. The channel decides how many bubbles it becomes."""

    text: str
    options: tuple[Option, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a tool serves, as the conversation knows it, never as a model says it.

    ``identity`` is how surely the customer is known; ``number`` theirs when the channel proves it, digits only.
    ``channel`` is the inbox's kind.
    """

    business_id: int
    conversation_id: int
    contact_id: int
    channel: str
    identity: IdentityLevel = "anonymous"
    number: str = ""
    locale: str = ""


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
    to besides, itself included, and empty where there is nobody else. ``audience``: a customer, or a ``member`` of the
    business who asks about it.
    ``execute`` does what a writing tool does, at most once however often the turn is tried. ``confirms``: the caller asks
    the customer about an :class:`Action` and reads the answer; else no destructive tool is offered. ``deeds`` are those the
    question confirmed: done already, to be told.
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
    audience: Literal["customer", "member"] = "customer"
    execute: Execute | None = None
    confirms: bool = False
    deeds: tuple[Deed, ...] = ()
    summary: str = ""
    facts: tuple[str, ...] = ()


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
