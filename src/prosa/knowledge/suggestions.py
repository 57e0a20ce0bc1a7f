"""Answers that people gave become approved answers, when somebody says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from prosa.errors import NotAllowed
from prosa.knowledge import gaps
from prosa.knowledge.analysis import fold
from prosa.knowledge.learned import Gap, Suggestion
from prosa.knowledge.models import ApprovedAnswer
from prosa.redaction import redact

RELATED = 0.5
"""Share of their stems two questions have in common from which the answer to one speaks of the other."""
SAME = 0.7
"""The same of two answers that agree in every number and every "no"."""
LONGEST_QUESTION = 500

_HIDDEN = re.compile(r"\[(?:secret|email|cpf|cnpj|card|phone|name)\]")
_NO = re.compile(r"\b(?:nao|nunca|sem|nem|no|sin|ni|not|never|without|cannot|(?:do|does|wo|ca|is|are)nt)\b")

SameFigures = Callable[[str, str], bool]
"""Whether two texts hold the same prices, dates, times and numbers."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a person answered to a customer's question. ``names`` are the customer's, to be hidden."""

    question: str
    answer: str
    author: str
    conversation_id: int
    message_id: int
    at: datetime
    names: tuple[str, ...] = ()


def propose(business_id: int, given: Given, same_figures: SameFigures) -> Suggestion | None:
    """Keep an answer as a suggestion; None when it was kept before, or holds nothing to learn."""
    question = _hidden(" ".join(given.question.split()), given.names)[:LONGEST_QUESTION]
    answer = _hidden(given.answer.strip(), given.names)
    asked = gaps.stems(question)
    if not asked or len(gaps.stems(answer)) < 2:
        return None
    if Suggestion.objects.filter(business_id=business_id, message_id=given.message_id).exists():
        return None
    of = _related(business_id, asked)
    kind = Suggestion.Kind.NEW
    if of is not None:
        kind = Suggestion.Kind.DUPLICATE if same(of.answer, answer, same_figures) else Suggestion.Kind.REPLACES
    if kind != Suggestion.Kind.DUPLICATE and _waits(business_id, asked, answer, same_figures):
        kind = Suggestion.Kind.DUPLICATE
    made, fresh = Suggestion.objects.get_or_create(
        business_id=business_id,
        message_id=given.message_id,
        defaults={
            "question": question, "answer": answer, "kind": kind, "of": of, "author": given.author,
            "conversation_id": given.conversation_id, "answered_at": given.at,
            "status": Suggestion.Status.REFUSED if kind == Suggestion.Kind.DUPLICATE else Suggestion.Status.WAITING,
        },
    )  # fmt: skip
    return made if fresh else None


def same(one: str, other: str, same_figures: SameFigures) -> bool:
    """Whether two answers say the same: never when a number or a "no" differs."""
    return (
        same_figures(one, other)
        and _refusals(one) == _refusals(other)
        and gaps.alike(gaps.stems(one), gaps.stems(other)) >= SAME
    )


def approve(suggestion: Suggestion, user: AbstractBaseUser | None) -> ApprovedAnswer:
    """Make it an approved answer, or the new text of the one it replaces; the gap it closes is closed.

    :raises NotAllowed: somebody decided before, or it still hides personal data.
    """
    with transaction.atomic():
        held = Suggestion.objects.select_for_update(of=("self",)).get(
            pk=suggestion.pk, business_id=suggestion.business_id
        )
        _still_open(held)
        if _HIDDEN.search(held.question + held.answer):
            raise NotAllowed(
                "This answer hides personal data in brackets.\nWrite what customers should read, save, and approve it."
            )
        replaced = None
        if held.kind == Suggestion.Kind.REPLACES and held.of_id is not None:
            # One that went out of force meanwhile would not be given with the new text either.
            replaced = ApprovedAnswer.in_force(held.business_id).filter(pk=held.of_id).first()
        if replaced is not None:
            held.before, replaced.answer = replaced.answer, held.answer
            replaced.save()
            answer = replaced
        else:
            answer = ApprovedAnswer.objects.create(
                business_id=held.business_id, question=held.question, answer=held.answer
            )
        held.of = answer
        _decide(held, user, Suggestion.Status.APPROVED)
        asked = gaps.stems(held.question)
        for gap in Gap.objects.filter(
            business_id=held.business_id, status=Gap.Status.OPEN, stems__overlap=sorted(asked)
        ):
            if gaps.alike(gap.stems, asked) >= gaps.ALIKE:
                gaps.settle(gap, user, answer)
    return answer


def refuse(suggestion: Suggestion, user: AbstractBaseUser | None) -> None:
    """Learn nothing from it.

    :raises NotAllowed: somebody decided before.
    """
    with transaction.atomic():
        held = Suggestion.objects.select_for_update(of=("self",)).get(
            pk=suggestion.pk, business_id=suggestion.business_id
        )
        _still_open(held)
        _decide(held, user, Suggestion.Status.REFUSED)


def _still_open(held: Suggestion) -> None:
    if held.status != Suggestion.Status.WAITING:
        raise NotAllowed(f"This suggestion is {held.get_status_display()} already.\nReload the page.")


def _decide(held: Suggestion, user: AbstractBaseUser | None, status: Suggestion.Status) -> None:
    held.status, held.decided_by_id, held.decided_at = status, user.pk if user else None, timezone.now()
    held.save()


def _related(business_id: int, asked: set[str]) -> ApprovedAnswer | None:
    """The approved answer in force one of whose wordings asks the same."""
    best, share = None, RELATED
    for answer in ApprovedAnswer.in_force(business_id).order_by("pk")[:5000]:
        near = max(gaps.alike(gaps.stems(wording), asked) for wording in answer.question.split(";"))
        if near >= share:
            best, share = answer, near
    return best


def _waits(business_id: int, asked: set[str], answer: str, same_figures: SameFigures) -> bool:
    """Whether the same suggestion waits already."""
    waiting = Suggestion.objects.filter(business_id=business_id, status=Suggestion.Status.WAITING).order_by("-pk")[:500]
    return any(
        gaps.alike(gaps.stems(each.question), asked) >= gaps.ALIKE and same(each.answer, answer, same_figures)
        for each in waiting
    )


def _refusals(text: str) -> int:
    return len(_NO.findall(fold(text).replace("'", "").replace("’", "")))


def _hidden(text: str, names: tuple[str, ...]) -> str:
    """Without personal data: the customer's names, and whatever :func:`redact` knows."""
    parts = {part for name in names for part in re.findall(r"\w{3,}", name)}
    for part in sorted(parts, key=len, reverse=True):
        # A greeting by name loses the name; elsewhere it is hidden, for somebody to see to.
        text = re.sub(
            rf"(?i)^(\W*(?:oi+|ol[aá]|bom dia|boa tarde|boa noite|hola|hi|hello|hey)),?\s+{re.escape(part)}\b",
            r"\1",
            text,
        )
        text = re.sub(rf"(?i)(?<!\w){re.escape(part)}(?!\w)", "[name]", text)
    return redact(text)
