"""What a conversation cost, beside what it may: booked, and shown to people by the sums that the gate judges by.

Answers are booked with their turn, question embeddings included; everything else (:func:`book`) on a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import connection as database
from django.db.models import Count, Max, Q, Sum
from django.urls import NoReverseMatch, reverse

from prosa import sql
from prosa.business.zones import zone_named
from prosa.contracts import TurnResult
from prosa.conversations.expenses import Expense
from prosa.conversations.models import Conversation, Message, Turn
from prosa.costs import counting, ledger, spending
from prosa.costs.gate import Limit
from prosa.costs.models import Budget
from prosa.postgres.connections import Connection, fetch_one

queries = sql.load(__file__, "spent.sql")

MOST_LOOKED_AT = 1_000
"""Of a business's conversations, the newest so many are looked at for the dearest."""

WHATSAPP = ("whatsapp_cloud", "twilio")
LEFT = ("sent", "delivered", "read", "played")


@dataclass(frozen=True, slots=True)
class Spent:
    """US dollars. ``beside`` is the part of ``cost`` that was not for answers. ``unknown`` answers used a model without a price
    and are in no sum, nor are ``unpriced`` requests beside answers; ``bar`` None without a limit."""

    cost: Decimal
    answers: int
    unknown: int
    bar: spending.Bar | None
    beside: Decimal = Decimal(0)
    unpriced: int = 0


def entries(spent: Sequence[ledger.Entry], result: TurnResult | None) -> list[ledger.Entry]:
    """What a turn used: what was told while it went on, and what its result says when no model's answer was told."""
    told = any(entry.purpose == "turn" for entry in spent)
    return [*spent, *([ledger.Entry(result.model, result.usage)] if result is not None and not told else [])]


async def book(
    connection: Connection, business_id: int, conversation_id: int, day: date, used: Sequence[ledger.Entry]
) -> Decimal | None:
    """What was used for a conversation beside its answers goes to the business's ``day`` and to the conversation, in the
    caller's transaction; what it cost, None when a price is unknown."""
    rows = ledger.packed(used)
    if rows is None:
        return Decimal(0)
    given = {"business_id": business_id, "conversation_id": conversation_id, "day": day, "entries": rows}
    row = await fetch_one(connection, queries.spend, given)
    cost: Decimal | None = row[0] if row else None
    return cost


def sums(conversation_id: int) -> tuple[Decimal, Decimal]:
    """What a conversation cost, and its dearest answer, as the gate reads them."""
    with database.cursor() as cursor:
        cursor.execute("SELECT prosa_conversations_spent(%s)", [conversation_id])
        cost, dearest = cursor.fetchone()[0]
    return cost, dearest or Decimal(0)


def of(conversation: Conversation) -> Spent:
    """What a conversation cost so far, and how much of its limit that is."""
    found = Turn.objects.filter(conversation=conversation, requests__gt=0).aggregate(
        answers=Count("pk"), unknown=Count("pk", filter=Q(cost=None))
    )
    limits = Budget.objects.filter(business_id=conversation.business_id).values_list(
        "conversation_soft", "conversation_hard"
    )
    beside: Mapping[str, Decimal | int | None] = Expense.objects.filter(conversation=conversation).aggregate(
        cost=Sum("cost"), unpriced=Sum("unpriced_requests")
    )
    cost, _dearest = sums(conversation.pk)
    bar = spending.bar(cost, Limit(*(limits.first() or ())))
    return Spent(
        cost, found["answers"], found["unknown"], bar, Decimal(beside["cost"] or 0), int(beside["unpriced"] or 0)
    )


def dearest(business_id: int, day: date, zone: str) -> spending.Dearest | None:
    """Of the conversations that a model answered on a day of the business: the dearest, and the dearest single answer."""
    midnight = datetime.combine(day, time(), zone_named(zone)).astimezone(UTC)
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
    ids = [row["conversation_id"] for row in rows]
    beside: dict[int, Decimal] = dict(
        Expense.objects.filter(conversation__in=ids)
        .values_list("conversation_id")
        .annotate(Sum("cost"))
        .exclude(cost__sum=None)
    )
    totals = {row["conversation_id"]: row["total"] + beside.get(row["conversation_id"], 0) for row in rows}
    most = max(rows, key=lambda row: totals[row["conversation_id"]])
    return spending.Dearest(
        totals[most["conversation_id"]],
        _address(most["conversation_id"]),
        max(row["answer"] for row in rows if row["answer"] is not None),
    )


def messages(business_id: int, day: date, zone: str) -> counting.Messages:
    """A business's WhatsApp messages since the first of the month, those that left; both ways to WhatsApp together."""
    since = datetime.combine(day.replace(day=1), time(), zone_named(zone))
    sent = Message.objects.filter(
        business_id=business_id, direction="out", created_at__gte=since, inbox__kind__in=WHATSAPP, status__in=LEFT
    )
    found = sent.aggregate(
        conversations=Count("conversation_id", distinct=True),
        sent=Count("pk"),
        templates=Count("pk", filter=Q(kind="template")),
    )
    return counting.Messages(**found)


def _address(conversation_id: int) -> str:
    try:
        return reverse("admin:prosa_conversations_conversation_change", args=[conversation_id])
    except NoReverseMatch:
        return ""
