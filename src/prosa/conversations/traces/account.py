"""A trace in plain words: what the owner of a shop reads to know why the assistant said something."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from prosa.conversations import reasons
from prosa.conversations.traces.trace import Gate, Rule, Trace
from prosa.costs import spending
from prosa.costs.gate import Step

MOST_QUOTED = 240
SEARCH = "search_knowledge"


@dataclass(frozen=True, slots=True)
class Part:
    """A stage of the answer: its share of the bar, in percent, and its name in words."""

    name: str
    ms: float
    percent: float
    colour: int


@dataclass(frozen=True, slots=True)
class Account:
    """A trace with everything a page says about it, in the reader's language."""

    trace: Trace
    sentences: list[str]
    parts: list[Part]
    total: str
    rules: list[tuple[Rule, str]]
    gates: list[tuple[Gate, str]]
    cost: str
    tools: list[tuple[str, str, Any]]
    more: str


def of(trace: Trace) -> Account:
    """The account of a trace."""
    parts = _parts(trace)
    return Account(
        trace=trace,
        sentences=[sentence for sentence in _sentences(trace) if sentence],
        parts=parts,
        total=duration(sum(part.ms for part in parts)),
        rules=[(rule, rule_reason(rule)) for rule in trace.rules],
        gates=[(gate, _gate(gate)) for gate in trace.gates],
        cost=cost(trace),
        tools=[(tool_name(call.name), _written(call.arguments), call) for call in trace.tools],
        more=_written(trace.more) if trace.more else "",
    )


def outcome(name: str) -> str:
    """What became of an attempt to answer."""
    return {
        "answered": _("Answered"),
        "withheld": _("Answer withheld: a person took over"),
        "superseded": _("Draft dropped: a newer message came"),
        "silent": _("The assistant had nothing to say"),
        "notice": _("Notice: the customer waits for a person"),
        "failed": _("The attempt to answer failed"),
        "trial": _("Trial: nothing was sent"),
    }.get(name, name)


def duration(ms: float) -> str:
    """Milliseconds as people say them."""
    if ms < 1000:
        return _("%(number)s ms") % {"number": number_format(round(ms), decimal_pos=0)}
    return _("%(number)s s") % {"number": number_format(round(ms / 1000, 1), decimal_pos=1)}


def cost(trace: Trace) -> str:
    """The money a turn took."""
    if trace.usage.cost is None:
        return _("unknown: this model's price is not known") if trace.usage.requests else _("none")
    return f"US$ {spending.money(Decimal(trace.usage.cost))}" if Decimal(trace.usage.cost) else _("none")


def tool_name(name: str) -> str:
    """A tool in words; those of plug-ins keep theirs."""
    return {
        SEARCH: _("search in the documents"),
        "bring_in_person": _("call a person"),
        "ask_a_person": _("ask the team a question"),
        "resolve": _("close the conversation"),
        "remember": _("remember a fact"),
        "send_options": _("offer choices"),
        "transfer_to_specialist": _("pass on to a specialist"),
    }.get(name, name.replace("_", " "))


def rule_reason(rule: Rule) -> str:
    """Why a conditional guideline was told or left out."""
    return {
        "always": _("always told"),
        "fits": _("its dates and channel fit"),
        "off": _("switched off"),
        "not_yet": _("not valid yet"),
        "over": _("no longer valid"),
        "channel": _("for another channel"),
        "specialist": _("for another specialist"),
        "excluded": _("left out by rule %(number)d") % {"number": rule.by},
        "budget": _("no room left"),
        "relevant": _("fits the question"),
        "words": _("its words fit the question"),
        "meaning": _("its meaning fits the question"),
        "unrelated": _("does not fit the question"),
    }.get(rule.reason, rule.reason)


def _sentences(trace: Trace) -> list[str]:
    asked = _quoted(" / ".join(said.text for said in trace.question if said.text))
    return [
        _("The customer asked: “%(text)s”.") % {"text": asked} if asked else "",
        _became(trace),
        _specialist(trace),
        *_guidelines(trace),
        _("Of “%(topic)s” only approved answers may be said.") % {"topic": _quoted(trace.strict)}
        if trace.strict
        else "",
        _approved(trace),
        *_found(trace),
        *_called(trace),
        *_refused(trace),
        _saving(trace),
        *_failed(trace),
        _answered(trace),
        _unspoken(trace),
        _of_team(trace),
        _handed_off(trace),
        *_remembered(trace),
        _left_out(trace),
        *_delivery(trace),
    ]


def _became(trace: Trace) -> str:
    return {
        "withheld": _(
            "A person took over while the answer was being made, so nothing was sent. The draft is kept as a suggestion."
        ),
        "superseded": _(
            "The customer wrote on while the answer was being made, so this draft was dropped. The next answer read everything."
        ),
        "silent": _("The assistant had nothing to say, so nothing was sent."),
        "notice": _("The customer was waiting for a person: only a notice was sent, and no model was asked."),
        "failed": _("The attempt to answer failed."),
    }.get(trace.outcome, "")


def _specialist(trace: Trace) -> str:
    who = trace.specialist
    if who is None:
        return ""
    if who.came_from:
        said = _("“%(origin)s” passed it on to “%(name)s”: %(reason)s.")
        return said % {"origin": who.came_from, "name": who.name, "reason": _quoted(who.reason) or "—"}
    return _("The specialist “%(name)s” answered.") % {"name": who.name}


def _unspoken(trace: Trace) -> str:
    if trace.voice != "no_address":
        return ""
    return _(
        "It was to be spoken and was written: this channel fetches voice notes from a public address, and PROSA_PUBLIC_URL is not set."
    )


def _guidelines(trace: Trace) -> list[str]:
    if trace.outcome == "notice":
        return []
    told = [_("It used version %(number)d of the guidelines.") % {"number": trace.guideline_version}]
    if trace.drafted:
        told = [_("It used the draft of the guidelines.")]
    elif not trace.guideline_version:
        told = [_("There were no guidelines.")]
    if chosen := [rule for rule in trace.rules if rule.chosen]:
        listed = "; ".join(f"{rule.number} ({rule_reason(rule)})" for rule in chosen)
        told.append(
            ngettext("This rule was applied: %(rules)s.", "These rules were applied: %(rules)s.", len(chosen))
            % {"rules": listed}
        )
    return [*told, _ranking(trace)]


def _ranking(trace: Trace) -> str:
    """How rules were chosen when not all had room."""
    if not trace.ranking.by:
        return ""
    if trace.ranking.by != "words":
        return _("Not all rules had room: those nearest to the question by words or meaning were told.")
    if trace.ranking.why in ("failed", "slow"):
        return _("Not all rules had room. The embedding model did not answer in time, so words alone chose them.")
    return _("Not all rules had room: those nearest to the question by words were told.")


def _approved(trace: Trace) -> str:
    if not trace.approved:
        return ""
    best = max(trace.approved, key=lambda each: each.score or 0)
    return ngettext(
        "It looked at %(count)d approved answer: “%(question)s”.",
        "It looked at %(count)d approved answers, the nearest “%(question)s”.",
        len(trace.approved),
    ) % {"count": len(trace.approved), "question": _quoted(best.question)}


def _nearly(trace: Trace) -> list[str]:
    alone = _("The embedding model did not answer in time, so the documents were searched by words alone.")
    near = trace.search.near
    return [
        *([alone] if trace.search.by_words else []),
        *(
            [
                _("The nearest, “%(title)s”, was too far from the question.")
                % {"title": _quoted(near.title or near.document)}
            ]
            if near
            else []
        ),
    ]


def _found(trace: Trace) -> list[str]:
    if not trace.passages:
        searched = any(call.name == SEARCH and call.ok for call in trace.tools)
        nothing = [_("It searched the documents and found nothing that fits.")] if searched else []
        return [*nothing, *_nearly(trace)]
    best = max(trace.passages, key=lambda each: each.score or 0)
    where = f"“{_quoted(best.title or best.document)}”"
    if best.section:
        where += ", " + _("section “%(name)s”") % {"name": _quoted(best.section)}
    if best.date:
        where += f" ({best.date})"
    said = ngettext(
        "It read %(count)d passage of the documents: %(where)s.",
        "It read %(count)d passages of the documents, the nearest in %(where)s.",
        len(trace.passages),
    )
    return [said % {"count": len(trace.passages), "where": where}, *_nearly(trace)]


def _called(trace: Trace) -> list[str]:
    told = []
    for call in trace.tools:
        if call.name == SEARCH and call.ok:
            continue
        said = _("It used “%(tool)s”.") if call.ok else _("It tried “%(tool)s”, which did not work.")
        told.append(said % {"tool": tool_name(call.name)})
    return list(dict.fromkeys(told))


def _refused(trace: Trace) -> list[str]:
    told = []
    for draft in trace.rejected:
        if draft.figures:
            said = ngettext(
                "A draft was refused because %(figures)s stands in no source.",
                "A draft was refused because these stand in no source: %(figures)s.",
                len(draft.figures),
            )
            told.append(said % {"figures": ", ".join(f"“{_quoted(each)}”" for each in draft.figures)})
        if draft.outcomes:
            said = ", ".join(f"“{_quoted(each)}”" for each in draft.outcomes)
            told.append(_("A draft was refused because it claimed what was not done: %(claims)s.") % {"claims": said})
        if draft.strict:
            said = _("A draft was refused: of “%(topic)s” only approved answers may be said.")
            told.append(said % {"topic": _quoted(draft.strict)})
        if draft.reason:
            told.append(_("A draft was refused: %(reason)s.") % {"reason": _quoted(draft.reason)})
    return told


def _saving(trace: Trace) -> str:
    try:
        step = Step(trace.budget.step)
    except ValueError:
        return ""
    if step is Step.NORMAL:
        return ""
    name, meaning = spending.words(step)
    return _("To keep to the budget: %(step)s. %(meaning)s") % {"step": name, "meaning": meaning}


def _failed(trace: Trace) -> list[str]:
    failed = [each for each in trace.attempts if not each.ok and each.status not in ("ungrounded", "strict")]
    return [
        _("%(model)s gave no answer (%(reason)s).")
        % {"model": each.model or "—", "reason": _quoted(each.error or each.status) or "—"}
        for each in failed[:5]
    ]


def _answered(trace: Trace) -> str:
    if trace.outcome == "notice":
        return ""
    if trace.usage.model in ("", "offline"):
        if trace.offline == "unknown" and trace.handoff is not None:
            return _("Nothing certain was found.")
        return {
            "approved": _("The approved answer was said word by word; no model wrote it."),
            "passage": _("The nearest sentences of a document were quoted word by word; no model wrote them."),
            "greeting": _("The greeting was answered without a model."),
            "handoff": _("No model wrote the answer."),
            "asked": _("No model wrote the answer."),
            "still_asking": _("It said that the team has not answered yet; no model wrote it."),
            "relayed": _("The team's answer was said word by word; no model wrote it."),
            "unknown": _("Nothing certain was found, so it said that it does not know and offered a person."),
        }.get(trace.offline, _("No model was asked.") if not trace.usage.requests else "")
    took = sum(each.ms or 0 for each in trace.attempts) or next(
        (stage.ms for stage in trace.stages if stage.name == "model"), 0.0
    )
    price = (
        _("its price is not known")
        if trace.usage.cost is None
        else _("for %(money)s") % {"money": f"US$ {spending.money(Decimal(trace.usage.cost))}"}
    )
    said = ngettext(
        "%(model)s answered in %(time)s, with %(count)d request, %(price)s.",
        "%(model)s answered in %(time)s, with %(count)d requests, %(price)s.",
        trace.usage.requests,
    )
    return said % {
        "model": trace.usage.model, "time": duration(took), "count": trace.usage.requests, "price": price,
    }  # fmt: skip


def _of_team(trace: Trace) -> str:
    if trace.case is None:
        return ""
    asked = {"question": _quoted(trace.case.question), "answer": _quoted(trace.case.answer or "")}
    if trace.case.answer is None:
        return _("It asked the team: “%(question)s”.") % asked
    if not trace.case.answer:
        return _("The team could not answer what it had asked: “%(question)s”.") % asked
    return _("It told what the team answered to “%(question)s”: “%(answer)s”.") % asked


def _handed_off(trace: Trace) -> str:
    if trace.handoff is None:
        return ""
    reason = reasons.told(trace.handoff.reason)
    return _("The conversation was passed to a person: %(reason)s.") % {"reason": _quoted(reason) or "—"}


def _remembered(trace: Trace) -> list[str]:
    told = []
    if trace.memory.summary:
        told.append(_("It read a summary of what was said before."))
    if count := len(trace.memory.facts):
        said = ngettext(
            "It knew %(count)d fact the customer told earlier.",
            "It knew %(count)d facts the customer told earlier.",
            count,
        )
        told.append(said % {"count": count})
    return told


def _left_out(trace: Trace) -> str:
    if not trace.history.dropped:
        return ""
    return ngettext(
        "%(count)d older message was left out for lack of room.",
        "%(count)d older messages were left out for lack of room.",
        trace.history.dropped,
    ) % {"count": trace.history.dropped}


def _delivery(trace: Trace) -> list[str]:
    states = {said.status for said in trace.replies}
    told = []
    if "failed" in states:
        codes = ", ".join(dict.fromkeys(said.error_code for said in trace.replies if said.error_code))
        told.append(_("The reply could not be delivered (%(code)s).") % {"code": codes or "—"})
    if "withdrawn" in states:
        told.append(_("The reply was withdrawn before it left, because a person took over."))
    if "unconfirmed" in states:
        told.append(_("It is not known whether the reply arrived."))
    return told


def _gate(gate: Gate) -> str:
    name = {
        "owner": _("No person has the conversation"),
        "newest": _("Nothing newer was written"),
        "facts": _("Every figure stands in a source"),
    }.get(gate.gate, gate.gate)
    return f"{name} ({gate.detail})" if gate.detail and gate.gate != "facts" else name


def _parts(trace: Trace) -> list[Part]:
    names = {
        "queue": _("waited for the end of the message"),
        "begin": _("read the conversation"),
        "approved": _("looked up approved answers"),
        "prompt": _("wrote the prompt"),
        "model": _("thought"),
        "finish": _("checked and stored"),
    }
    took = {stage.name: max(0.0, stage.ms) for stage in trace.stages}
    whole = took.pop("total", None)
    known = sum(ms for name, ms in took.items() if name != "queue")
    if whole is not None and whole - known >= 0.5:
        took["finish"] = whole - known
    everything = sum(took.values())
    return [
        Part(names.get(name, name.replace("_", " ")), ms, ms * 100 / everything if everything else 0.0, place % 6)
        for place, (name, ms) in enumerate(took.items())
        if ms
    ]


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_QUOTED else line[:MOST_QUOTED] + "…"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
