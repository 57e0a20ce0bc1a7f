"""Questions that found no answer, put together when they ask the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from prosa.business.models import Business
from prosa.contracts import Json, Passage
from prosa.knowledge.analysis import fold, stem
from prosa.knowledge.learned import Asking, Gap
from prosa.knowledge.models import ApprovedAnswer
from prosa.knowledge.words import EMPTY, SPELLINGS
from prosa.redaction import redact

ALIKE = 0.6
"""Share of their stems two questions have in common from which they ask the same."""
MOST_STEMS = 24
LONGEST = 500
SHOWN = 300
"""Characters kept of the nearest passage."""

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question a turn had no answer for."""

    turn_id: int
    conversation_id: int
    text: str
    at: datetime
    near: Passage | None = None


def stems(text: str) -> set[str]:
    """The stems of the words that carry a topic, chat spellings read as what they mean."""
    found = (SPELLINGS.get(word, word) for word in _WORD.findall(fold(text[:4000])))
    words = dict.fromkeys(word for word in found if word not in EMPTY and (len(word) > 1 or word.isdecimal()))
    return {stem(word)[:40] for word in list(words)[:MOST_STEMS]}


def alike(one: Iterable[str], other: Iterable[str]) -> float:
    """The share of all stems that both have, 0..1."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first and second else 0.0


def record(business_id: int, asked: Unanswered) -> bool:
    """Count a question under the gap it belongs to, or begin one. False: it says nothing, or was counted before.

    A dismissed gap counts on in silence; an answered one opens again, for its answer was not found.
    """
    text = " ".join(redact(asked.text).split())[:LONGEST]
    wanted = stems(text)
    if not wanted:
        return False
    with transaction.atomic():
        # Two workers would begin the same gap twice.
        Business.objects.select_for_update(no_key=True).only("pk").get(pk=business_id)
        if Asking.objects.filter(business_id=business_id, turn_id=asked.turn_id).exists():
            return False
        gap = _nearest(business_id, wanted)
        if gap is None:
            gap = Gap.objects.create(
                business_id=business_id, question=text, stems=sorted(wanted), first_at=asked.at, last_at=asked.at
            )
        Asking.objects.create(
            business_id=business_id, gap=gap, turn_id=asked.turn_id, conversation_id=asked.conversation_id, text=text, asked_at=asked.at
        )  # fmt: skip
        newest = asked.at >= gap.last_at
        Gap.objects.filter(pk=gap.pk).update(
            count=F("count") + 1,
            first_at=min(gap.first_at, asked.at),
            **({"last_at": asked.at, "conversation_id": asked.conversation_id, "near": _shown(asked.near)} if newest else {}),
            **({"status": Gap.Status.OPEN} if gap.status == Gap.Status.ANSWERED else {}),
        )  # fmt: skip
    return True


def settle(gap: Gap, user: AbstractBaseUser | None, answer: ApprovedAnswer | None = None) -> None:
    """Nobody needs to look any more: it has an ``answer`` now, or needs none."""
    Gap.objects.filter(pk=gap.pk, business_id=gap.business_id).update(
        status=Gap.Status.ANSWERED if answer else Gap.Status.DISMISSED,
        answer=answer,
        decided_by=user,
        decided_at=timezone.now(),
    )


def _nearest(business_id: int, wanted: set[str]) -> Gap | None:
    near = Gap.objects.filter(business_id=business_id, stems__overlap=sorted(wanted)).order_by("-last_at")[:200]
    best = max(near, key=lambda gap: alike(gap.stems, wanted), default=None)
    return best if best is not None and alike(best.stems, wanted) >= ALIKE else None


def _shown(near: Passage | None) -> Json:
    if near is None:
        return {}
    text = " ".join(near.text.split())
    return {
        "title": near.title, "section": near.section, "score": round(near.score, 3),
        "text": text if len(text) <= SHOWN else f"{text[:SHOWN].rstrip()}…",
    }  # fmt: skip
