"""What is kept of a turn when it is decided, and how it is read again as a :class:`~prosa.conversations.traces.trace.Trace`.

A trace is written once and read for years, by code that is newer than it. Reading therefore believes nothing: whatever
stands in the stored JSON, a trace comes out, and what this version does not know is kept under ``more``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from prosa import sql
from prosa.agents import passages
from prosa.contracts import Json, TurnResult
from prosa.conversations.begin import Context
from prosa.conversations.cases import asking
from prosa.conversations.traces.trace import (
    Approved,
    Attempt,
    Budget,
    Case,
    Fact,
    Gate,
    History,
    Passage,
    Ranking,
    Rejected,
    Remembered,
    Rule,
    Said,
    Search,
    Specialist,
    Stage,
    ToolCall,
    Trace,
    Usage,
    Wish,
)
from prosa.redaction import redact, redact_data

MOST_ROWS = 200
MOST_TEXT = 4_000
MOST_MORE = 20_000
MOST_SUMMARY = 1_000
ORDER = {
    name: place
    for place, name in enumerate(("queue", "begin", "media", "approved", "prompt", "model", "", "finish", "total"))
}
"""Of the stages; those it does not name come after the model's."""


def decided(context: Context, result: TurnResult | None, outcome: str) -> Json:
    """What the end of a turn adds to the agent's own record: which messages it read, and every gate's verdict."""
    noted: Json = {"asked": [each.id for each in context.waiting[:MOST_ROWS]]}
    rejected = len(result.trace.get("rejected", ())) if result is not None else 0
    gates: list[Json] = [
        {"gate": "owner", "passed": outcome != "withheld"},
        {"gate": "newest", "passed": outcome != "superseded"},
    ]
    if result is not None and result.usage.requests:
        # Two refused drafts end the model's part: what is said then comes from the business word by word.
        gates.append({"gate": "facts", "passed": rejected < 2, **({"detail": str(rejected)} if rejected else {})})
    noted["gates"] = gates
    if result is not None and result.model not in ("", "offline") and (context.talk.known or context.turn.summary):
        # Facts by their ids: what a customer lets erase must not live on in every trace.
        noted["memory"] = {"facts": list(context.talk.known)}
        if context.turn.summary:
            noted["memory"] |= {"summary": context.turn.summary[:MOST_SUMMARY], "through": context.talk.through}
    if context.cast is not None and context.cast.weighed_by:
        noted["ranking"] = context.cast.weighed_by
    if searched := _searched(context, result):
        noted["search"] = searched
    if context.unspoken:
        noted["voice"] = context.unspoken
    if result is not None and result.handoff is not None:
        noted["handoff"] = {"reason": result.handoff.reason, "team": result.handoff.team}
    return noted | asking.noted(context, result)


def _searched(context: Context, result: TurnResult | None) -> Json:
    near = context.notes.near if result is not None and not result.trace.get("passages") else None
    return {
        **({"by_words": context.notes.by_words} if context.notes.by_words else {}),
        **({"near": passages.told(near)} if near is not None else {}),
    }


def facts(stored: Any) -> list[int]:
    """The ids of the facts a stored trace says were read; what they say must be looked up."""
    kept = _list(_mapping(_mapping(stored).get("memory")).get("facts"))
    return [each for each in kept if isinstance(each, int) and 0 < each < 2**63]


def read(
    turn: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] = (), remembered: Mapping[int, str] | None = None
) -> Trace:
    """The trace of a stored turn, whatever its JSON holds.

    ``turn`` has the columns of the table; ``messages`` are those it read and wrote (``id``, ``direction``, ``author``,
    ``kind``, ``text``, ``status``, ``error_code``, ``at``), oldest first; ``remembered`` the facts of :func:`facts` that
    still exist, by id.
    """
    kept = _mapping(turn.get("trace"))
    try:
        shown = _mapping(redact_data({name: value for name, value in kept.items() if name not in _AS_READ}))
    except RecursionError:  # nobody of ours nests that deeply
        shown = {}
    cost = turn.get("cost")
    return Trace(
        id=turn.get("id"),
        conversation_id=turn.get("conversation_id"),
        outcome=_text(turn.get("outcome")),
        started_at=turn.get("started_at"),
        finished_at=turn.get("finished_at"),
        question=[_said(row) for row in messages if row.get("direction") == "in"],
        replies=[_said(row) for row in messages if row.get("direction") == "out"],
        draft=_text(turn.get("draft")),
        error=redact(_text(turn.get("error"))),
        offline=_text(shown.get("offline")),
        strict=_text(shown.get("strict")),
        specialist=_specialist(shown.get("specialist")),
        guideline_version=_whole(turn.get("guideline_version")),
        rules=[
            Rule(
                number=_whole(row.get("rule")), when=_text(row.get("when")), chosen=row.get("chosen") is True,
                reason=_text(row.get("reason")), by=_whole(row.get("by")), tokens=_whole(row.get("tokens")), score=_number(row.get("score")),
                legs={name: value for name in ("words", "meaning") if (value := _number(row.get(name))) is not None},
            )
            for row in _rows(shown.get("rules"))
        ],
        ranking=Ranking(**{name: _text(_mapping(shown.get("ranking")).get(name)) for name in Ranking.model_fields}),
        approved=[
            Approved(
                id=_whole(row.get("id")), question=_text(row.get("question")), answer=_text(row.get("answer")), score=_number(row.get("score")),
            )
            for row in _rows(kept.get("approved"))
        ],
        passages=[_passage(row) for row in _rows(kept.get("passages"))],
        search=_search(_mapping(kept.get("search"))),
        tools=[
            ToolCall(
                name=_text(row.get("tool")), arguments=_bounded(row.get("arguments")), result=_text(row.get("result")),
                ok=row.get("ok") is not False, ms=_number(row.get("ms")),
            )
            for row in _rows(shown.get("tools"))
        ],
        rejected=[
            Rejected(
                model=_text(row.get("model")), draft=_text(row.get("draft")), reason=_text(row.get("reason")),
                figures=[_text(each) for each in _list(row.get("figures"))],
                outcomes=[_text(each) for each in _list(row.get("outcomes"))], strict=_text(row.get("strict")),
            )
            for row in _rows(shown.get("rejected"))
        ],
        attempts=[
            Attempt(
                model=_text(row.get("model")), ok=row.get("ok") is not False, ms=_number(row.get("ms")), status=_text(row.get("status")),
                error=_text(row.get("error")), tools=_whole(row.get("tools")), input_tokens=_whole(row.get("input_tokens")),
                output_tokens=_whole(row.get("output_tokens")),
            )
            for row in _rows(shown.get("attempts"))
        ],
        usage=Usage(
            model=_text(turn.get("model")), requests=_whole(turn.get("requests")), input_tokens=_whole(turn.get("input_tokens")),
            output_tokens=_whole(turn.get("output_tokens")), cost=None if cost is None else f"{cost.normalize():f}",
        ),
        stages=_stages(turn.get("stages")),
        budget=_budget(_mapping(shown.get("budget"))),
        history=History(**{name: _whole(_mapping(shown.get("history")).get(name)) for name in History.model_fields}),
        memory=Remembered(
            facts=[Fact(id=pk, text=_text((remembered or {}).get(pk))) for pk in facts(kept)],
            summary=_text(_mapping(shown.get("memory")).get("summary")), through=_whole(_mapping(shown.get("memory")).get("through")),
        ),
        gates=[
            Gate(gate=_text(row.get("gate")), passed=row.get("passed") is True, detail=_text(row.get("detail")))
            for row in _rows(shown.get("gates"))
        ],
        handoff=_wish(shown.get("handoff")),
        case=_case(shown.get("case")),
        voice=_text(shown.get("voice")),
        more=_more(shown),
    )  # fmt: skip


_AS_READ = frozenset({"passages", "approved", "search"})
"""The business's own words, shown as they were: its telephone number there is no secret."""
_KNOWN = _AS_READ | {
    "rules", "ranking", "tools", "rejected", "attempts", "budget", "history", "gates", "handoff", "offline", "strict", "specialist", "asked", "sources",
    "guideline_version", "memory", "voice", "case",
}  # fmt: skip


def _said(row: Mapping[str, Any]) -> Said:
    return Said(
        id=row["id"], author=_text(row.get("author")), kind=_text(row.get("kind")), text=_text(row.get("text")),
        status=_text(row.get("status")) if row.get("direction") == "out" else "", error_code=_text(row.get("error_code")), at=row.get("at"),
    )  # fmt: skip


def _passage(row: Json) -> Passage:
    legs = {
        _text(name): value for name, each in _mapping(row.get("legs")).items() if (value := _number(each)) is not None
    }
    return Passage(
        id=_whole(row.get("id")), document=_text(row.get("document")), title=_text(row.get("title")) or _text(row.get("source")),
        section=_text(row.get("section")), date=_text(row.get("date")), url=_text(row.get("url")), score=_number(row.get("score")),
        legs=legs, text=_text(row.get("text")),
    )  # fmt: skip


def _search(row: Json) -> Search:
    near = _mapping(row.get("near"))
    return Search(by_words=_text(row.get("by_words")), near=_passage(near) if near else None)


def _stages(value: Any) -> list[Stage]:
    """In the order of their happening: stored JSON has none."""
    found = [
        (_text(name).removesuffix("_ms"), _number(took)) for name, took in list(_mapping(value).items())[:MOST_ROWS]
    ]
    made = [Stage(name=name, ms=took) for name, took in found if took is not None]
    return sorted(made, key=lambda stage: (ORDER.get(stage.name, len(ORDER) - 2), stage.name))


def _budget(row: Json) -> Budget:
    told = {name: _text(row.get(name)) for name in ("step", "limit", "spent", "day_spent")}
    return Budget(**told, unpriced_requests=_whole(row.get("unpriced_requests")))


def _wish(value: Any) -> Wish | None:
    row = _mapping(value)
    return Wish(reason=_text(row.get("reason")), team=_text(row.get("team"))) if row else None


def _case(value: Any) -> Case | None:
    row = _mapping(value)
    answer = row.get("answer")
    told = {"answer": _text(answer)} if isinstance(answer, str) else {}
    return Case(id=_whole(row.get("id")), question=_text(row.get("question")), **told) if row else None


def _specialist(value: Any) -> Specialist | None:
    row = _mapping(value)
    if not _text(row.get("name")):
        return None
    return Specialist(name=_text(row.get("name")), came_from=_text(row.get("from")), reason=_text(row.get("reason")))


def _more(shown: Json) -> Json:
    # A list of another shape than ours is better shown as it is than not at all.
    left = {
        _text(name): value
        for name, value in shown.items()
        if name not in _KNOWN or (name in _LISTS and value and not _rows(value))
    }
    return {name: _bounded(value) for name, value in list(left.items())[:MOST_ROWS]}


_LISTS = frozenset({"rules", "tools", "rejected", "attempts", "gates"})


def _bounded(value: Any) -> Any:
    """Plain JSON of any depth, cut where it is long; what JSON cannot say becomes text."""
    try:
        written = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except (ValueError, RecursionError):
        return _text(str(value)[:MOST_TEXT])
    written = sql.clean(written).decode()
    return json.loads(written) if len(written) <= MOST_MORE else written[:MOST_MORE] + "…"


def _mapping(value: Any) -> Json:
    return {str(name): each for name, each in value.items()} if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value[:MOST_ROWS]) if isinstance(value, list | tuple) else []


def _rows(value: Any) -> list[Json]:
    return [_mapping(row) for row in _list(value) if isinstance(row, Mapping)]


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping | list | tuple):
        return ""
    try:
        text = str(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return ""
    clean = sql.clean(text[: MOST_TEXT + 1]).decode()
    return clean if len(text) <= MOST_TEXT else clean[:MOST_TEXT] + "…"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int:
    found = _number(value)
    return int(found) if found is not None and abs(found) < 2**53 else 0
