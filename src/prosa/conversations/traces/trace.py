"""Why a reply is what it is: the shape in which a trace is read (docs/reference/trace.md).

What is kept when a turn is decided, and how what was kept becomes a :class:`Trace`, is ``tracing``'s.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

SHAPE = 1
"""The number of the shape. It grows when a field changes its meaning or goes; new fields leave it as it is."""


class Said(BaseModel):
    """A message: of the customer in ``question``, of ours in ``replies``."""

    id: int
    author: str = ""
    kind: str = "text"
    text: str = ""
    status: str = Field("", description="What became of a reply: queued, sent, delivered, read, withdrawn, failed…")
    error_code: str = ""
    at: datetime | None = None


class Rule(BaseModel):
    """A conditional guideline and why it was told to the model or left out."""

    number: int = 0
    when: str = ""
    chosen: bool = False
    reason: str = Field(
        "",
        description="always, fits, words or meaning (near to the question by these), or why not: off, not_yet, over, channel, specialist, excluded, unrelated, budget.",
    )
    by: int = Field(0, description="The number of the rule that left this one out.")
    score: float | None = Field(None, description="How near it is to the question, where that was asked.")
    legs: dict[str, float] = Field(
        default={}, description="The part of words and of meaning in it, where both were asked."
    )
    tokens: int = 0


class Ranking(BaseModel):
    """How rules were chosen when not all fitted. ``why`` not by meaning: no_model, language (which the model does not serve),
    failed or slow."""

    by: str = Field("", description="words, or words and meaning; empty when all rules fitted.")
    model: str = ""
    why: str = ""


class Approved(BaseModel):
    """An approved answer that was considered. ``score`` in 0..1."""

    id: int = 0
    question: str = ""
    answer: str = ""
    score: float | None = None


class Passage(BaseModel):
    """A piece of a document that was read. ``text`` is its beginning as it was then; ``score`` in 0..1."""

    id: int = 0
    document: str = Field("", description="The name its source gives the document.")
    title: str = ""
    section: str = ""
    date: str = ""
    url: str = ""
    score: float | None = None
    legs: dict[str, float] = Field(default={}, description="The score of each way of searching, where several were.")
    text: str = ""


class Search(BaseModel):
    """What is to be known of the searches beside the passages they found."""

    by_words: str = Field(
        "",
        description="Why words alone searched though an embedding model is set: failed or slow; empty when it answered.",
    )
    near: Passage | None = Field(None, description="Where nothing was found: the best that fell under the floor.")


class ToolCall(BaseModel):
    """A tool the model called. Secrets and personal numbers are hidden; ``result`` is its beginning."""

    name: str = ""
    arguments: Any = None
    result: str = ""
    ok: bool = True
    ms: float | None = None


class Rejected(BaseModel):
    """A draft that was not sent. ``figures`` stand in no source, ``outcomes`` were claimed though no tool brought them about,
    ``strict`` is the topic on which only approved answers may be said."""

    model: str = ""
    draft: str = ""
    figures: list[str] = []
    outcomes: list[str] = []
    strict: str = ""
    reason: str = ""


class Attempt(BaseModel):
    """One request to a model. ``tools``: how many tools it called; ``status`` is set when it gave no answer to send."""

    model: str = ""
    ok: bool = True
    ms: float | None = None
    status: str = ""
    error: str = ""
    tools: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Usage(BaseModel):
    """``model`` is the one that answered. ``cost`` in US dollars, as text; null when the price is not known."""

    model: str = ""
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: str | None = None


class Stage(BaseModel):
    """Where the time went."""

    name: str
    ms: float


class Budget(BaseModel):
    """What the budget allowed. ``step``: normal, cheaper, short, approved_only or handoff; ``limit`` asked for it."""

    step: str = ""
    limit: str = ""
    spent: str = ""
    day_spent: str = ""
    unpriced_requests: int = 0


class History(BaseModel):
    """Earlier messages: how many the model read, how many were left out, and their size."""

    kept: int = 0
    dropped: int = 0
    tokens: int = 0


class Fact(BaseModel):
    """Something remembered of the customer that was read. ``text`` as it stands now; empty once it was erased."""

    id: int = 0
    text: str = ""


class Remembered(BaseModel):
    """What was read beside the messages themselves."""

    facts: list[Fact] = []
    summary: str = Field("", description="The beginning of the summary that stood for earlier messages.")
    through: int = Field(0, description="The last message the summary stood for.")


class Gate(BaseModel):
    """A check a reply must pass before it leaves."""

    gate: str
    passed: bool
    detail: str = ""


class Wish(BaseModel):
    """Why the conversation was passed to a person."""

    reason: str = ""
    team: str = ""


class Case(BaseModel):
    """What people of the business were asked. ``answer`` is what they said and this reply tells; null when this turn asked."""

    id: int = 0
    question: str = ""
    answer: str | None = Field(None, description="Empty: nobody could answer it.")


class Specialist(BaseModel):
    """Who answered. ``came_from`` had the conversation before, and passed it on in this turn for a ``reason``."""

    name: str = ""
    came_from: str = ""
    reason: str = ""


class Trace(BaseModel):
    """How one reply came to be. Times in milliseconds, money in US dollars."""

    shape: int = SHAPE
    id: int | None = Field(None, description="The turn's; null for a trial of guidelines, which is not stored.")
    conversation_id: int | None = None
    outcome: str = Field("", description="answered, withheld, superseded, silent, notice or failed.")
    started_at: datetime | None = None
    finished_at: datetime | None = None
    question: list[Said] = []
    replies: list[Said] = []
    draft: str = Field("", description="What was not said, when nothing was sent.")
    error: str = ""
    offline: str = Field(
        "",
        description="How it was answered without a model: approved, passage, greeting, handoff, asked, still_asking, relayed or unknown.",
    )
    strict: str = Field("", description="The topic of the question on which only approved answers may be said.")
    specialist: Specialist | None = None
    drafted: bool = Field(False, description="A trial of a draft: what is in force was not used.")
    guideline_version: int = 0
    rules: list[Rule] = []
    ranking: Ranking = Ranking()
    approved: list[Approved] = []
    passages: list[Passage] = []
    search: Search = Search()
    tools: list[ToolCall] = []
    rejected: list[Rejected] = []
    attempts: list[Attempt] = []
    usage: Usage = Usage()
    stages: list[Stage] = []
    budget: Budget = Budget()
    history: History = History()
    memory: Remembered = Remembered()
    gates: list[Gate] = []
    handoff: Wish | None = None
    case: Case | None = None
    voice: str = Field("", description="Why an answer that was to be spoken was written: no_address.")
    more: dict[str, Any] = Field(default={}, description="What else was noted; names may come and go.")
