"""What a conversation's answers cost, beside what they may: the sums that the gate judges by, for people to see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, Q, Sum
from django.urls import NoReverseMatch, reverse

from prosa.conversations.models import Conversation, Turn
from prosa.costs import spending
from prosa.costs.gate import Limit
from prosa.costs.models import Budget

MOST_LOOKED_AT = 1_000
"""Of a business's conversations, the newest so many are looked at for the dearest."""


@dataclass(frozen=True, slots=True)
class Spent:
    """US dollars. ``unknown`` answers used a model without a price and are in no sum; ``bar`` None without a limit."""

    cost: Decimal
    answers: int
    unknown: int
    bar: spending.Bar | None


def of(conversation: Conversation) -> Spent:
    """What a conversation cost so far, and how much of its limit that is."""
    found = Turn.objects.filter(conversation=conversation, requests__gt=0).aggregate(
        total=Sum("cost"), answers=Count("pk"), unknown=Count("pk", filter=Q(cost=None))
    )
    limits = Budget.objects.filter(business_id=conversation.business_id).values_list(
        "conversation_soft", "conversation_hard"
    )
    cost = found["total"] or Decimal(0)
    return Spent(cost, found["answers"], found["unknown"], spending.bar(cost, Limit(*(limits.first() or ()))))


def dearest(business_id: int, day: date, zone: str) -> spending.Dearest | None:
    """Of the conversations that a model answered on a day of the business: the dearest, and the dearest single answer."""
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    newest = Conversation.objects.filter(business_id=business_id).order_by("-pk").values("pk")[:MOST_LOOKED_AT]
    of_each = (
        Turn.objects.filter(conversation__in=newest, business_id=business_id, requests__gt=0)
        .values("conversation_id")
        .annotate(total=Sum("cost"), answer=Max("cost"), last=Max("finished_at"))
        .filter(last__gte=midnight, last__lt=midnight + timedelta(days=2))
    )
    rows = [row for row in of_each if row["total"] is not None]
    if not rows:
        return None
    most = max(rows, key=lambda row: row["total"])
    return spending.Dearest(
        most["total"],
        _address(most["conversation_id"]),
        max(row["answer"] for row in rows if row["answer"] is not None),
    )


def _address(conversation_id: int) -> str:
    try:
        return reverse("admin:prosa_conversations_conversation_change", args=[conversation_id])
    except NoReverseMatch:
        return ""
