"""The answer without a model: what the business approved, what its documents say word by word, or an honest "I do not know" and the offer of a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from prosa.agents import handoff, memory, passages
from prosa.contracts import ApprovedAnswer, Handoff, Json, Passage, Reply, Turn, TurnResult, Usage

FLOOR = 0.5
"""Score under which an approved answer is not taken for the answer to the question: half of what was asked must be in it."""
PASSAGE_FLOOR = 0.4
"""Score under which a passage is not quoted. On the labelled questions of tests/knowledge (a quarter of them in other words
than the passage, half mistyped or as in a chat) the first passage is the right one in 98 of 100 that reach it by words alone
and in 97 with MiniLM beside, and none of the 27 about something else does; 71 and 76 of 100 are answered. At 0.35 it would
be 97 and 96, with one of the 27."""
CLEAR = 0.9
TIE = 0.05
"""Answers closer to each other than this, and below ``CLEAR``, are a tie."""

WORDS = {
    "greeting": "Hello! How can we help you?",
    "unknown": "I don't have that information here, and I'd rather not guess.",
    "offer_person": "Shall I call someone from our team to help you?",
    "handed_off": "All right, I'm passing you on to someone from our team. You can keep writing here; they will see everything.",
    "confirm": "Yes, I confirm",
    "refuse": "No, thank you",
    "done": "Done, as you confirmed.",
    "not_done": "I could not do that, and nothing was changed.",
    "unsure": "I can't tell yet whether that was done.",
    "asking": "I'm asking someone from our team, and I'll write to you here as soon as they answer.",
    "still_asking": "I asked our team and they have not answered yet. I'll write to you here as soon as they do.",
    "team_answered": "Here is our team's answer:",
    "team_cannot": "I asked our team, and they could not answer that.",
}
"""The fixed sentences an agent says, in English, for a turn that brings none. Those of conversations, in the customer's
language, are ``conversations.words``; a test holds their English equal to this."""

_GREETS = re.compile(
    r"(?:(?:oi+e?|ola|opa|ei|alo|bom dia|boa tarde|boa noite|e ai|tudo bem|tudo bom|hola|buenas|buen dia|buenos dias|buenas tardes|"
    r"buenas noches|que tal|hello|hi|hey|good morning|good afternoon|good evening|there)\s*)+"
)


def word(turn: Turn, key: str) -> str:
    """A fixed sentence, from ``turn.words``."""
    return turn.words.get(key, "").strip() or WORDS[key]


def greets(turn: Turn) -> bool:
    """Whether the customer said hello and nothing else yet. Without a model that is no question to look up."""
    return bool(_GREETS.fullmatch(handoff.folded(turn)))


def _best(approved: Sequence[ApprovedAnswer]) -> ApprovedAnswer | None:
    """The answer that plainly fits. When two fit equally and neither fully, nobody can tell which one was asked for."""
    fitting = sorted((entry for entry in approved if entry.score >= FLOOR), key=lambda entry: -entry.score)
    if len(fitting) > 1 and fitting[0].score < CLEAR and fitting[0].score - fitting[1].score < TIE:
        return None
    return fitting[0] if fitting else None


def deeds(turn: Turn) -> TurnResult | None:
    """What became of what the customer confirmed, in fixed sentences; None when there was nothing to confirm."""
    if not turn.deeds:
        return None
    wish: Handoff | None = None
    texts = []
    for deed in turn.deeds:
        if deed.result.unsure:
            wish = Handoff("unsure")
            texts.append(f"{word(turn, 'unsure')} {word(turn, 'handed_off')}")
        elif deed.result.error:
            texts.append(f"{word(turn, 'not_done')} {word(turn, 'offer_person')}")
        else:
            texts.append(word(turn, "done"))
    return TurnResult((Reply(" ".join(texts)),), "offline", Usage(cost=Decimal(0)), wish, trace={"offline": "deeds"})


def needs_passages(turn: Turn, approved: Sequence[ApprovedAnswer]) -> bool:
    """Whether only a document could still answer."""
    return not (_best(approved) or greets(turn) or handoff.accepted(turn, word(turn, "offer_person")))


def _quotation(turn: Turn, found: Sequence[Passage]) -> tuple[str, Passage | None]:
    """The nearest sentences of the best passage, with where they stand."""
    best = max(found, key=lambda passage: passage.score, default=None)
    if best is None or best.score < PASSAGE_FLOOR:
        return "", None
    said = passages.quoted(best, memory.question(turn.question))
    return (f"{said}\n— {passages.source(best)}", best) if said else ("", None)


def answer(turn: Turn, approved: Sequence[ApprovedAnswer] = (), found: Sequence[Passage] = ()) -> TurnResult:
    """Bring in a person when our offer of one was accepted; else say the best of ``approved`` word by word, else what
    the best passage of ``found`` says, word by word and with its title; else that we do not know."""
    best = _best(approved)
    said, quoted = ("", None) if best is not None else _quotation(turn, found)
    wish: Handoff | None = None
    trace: Json = {"sources": []}
    open_ = turn.asked is not None and turn.asked.answer is None
    if handoff.accepted(turn, word(turn, "offer_person")):
        wish = Handoff("accepted")
        text = word(turn, "handed_off")
        trace["offline"] = "handoff"
    elif best is not None and best.answer.strip():
        text = best.answer.strip()
        trace = {"offline": "approved", "sources": [best.id]}
    elif greets(turn) and not open_:
        text = word(turn, "greeting")
        trace["offline"] = "greeting"
    elif quoted is not None:
        text = said
        trace = {"offline": "passage", "sources": [], "passages": [passages.told(quoted)]}
    elif open_:  # "e aí?" asks for what was promised
        text = word(turn, "still_asking")
        trace["offline"] = "still_asking"
    else:
        text = f"{word(turn, 'unknown')} {word(turn, 'offer_person')}"
        trace["offline"] = "unknown"
    sources = (quoted,) if quoted is not None and text == said else ()
    return TurnResult(
        replies=(Reply(text),),
        model="offline",
        handoff=wish,
        usage=Usage(cost=Decimal(0)),
        trace=trace,
        sources=sources,
    )


def relaying(turn: Turn, result: TurnResult) -> TurnResult:
    """``result`` after what people of the business answered, word by word; the result itself when there is nothing to tell."""
    if turn.asked is None or turn.asked.answer is None:
        return result
    said = turn.asked.answer.strip()
    told = (
        f"{word(turn, 'team_answered')}\n{said}"
        if said
        else f"{word(turn, 'team_cannot')} {word(turn, 'offer_person')}"
    )
    if result.trace.get("offline") in (
        "unknown",
        "greeting",
    ):  # it adds nothing, but that we should not leave it at this
        offers = said and turn.question and not greets(turn)
        text = f"{told}\n\n{word(turn, 'offer_person')}" if offers else told
        return replace(result, replies=(Reply(text),), trace={**result.trace, "offline": "relayed"})
    first, *others = result.replies
    return replace(result, replies=(replace(first, text=f"{told}\n\n{first.text}"), *others))
