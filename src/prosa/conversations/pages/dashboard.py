"""The figures of the admin's first page. Each is one query; nothing is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa.business.models import Business
from prosa.business.zones import zone_named
from prosa.channels.models import Inbox
from prosa.conversations.lanes import Dispatch
from prosa.conversations.models import Conversation, Message, State, Turn
from prosa.costs import spending
from prosa.costs.models import UsageDay
from prosa.knowledge.learned import Gap, Suggestion
from prosa.knowledge.models import Source

DAYS = 14
CHART_HEIGHT = 120
UNDELIVERED = ("failed", "unconfirmed")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its page. ``level``: calm, warning or danger."""

    label: str
    value: int | str
    url: str
    level: str = "calm"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """Messages of one day; bars in pixels, drawn from the bottom."""

    day: date
    received: int
    sent: int
    x: int = 0
    received_height: int = 0
    sent_height: int = 0

    @property
    def received_y(self) -> int:
        """Top of the bar."""
        return CHART_HEIGHT - self.received_height

    @property
    def sent_y(self) -> int:
        """Top of the bar."""
        return CHART_HEIGHT - self.sent_height


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add ``figures``, ``troubled`` inboxes and the chart's ``days``; nothing for staff who may not see conversations."""
    if not request.user.has_perm("prosa_conversations.view_conversation"):
        return context
    zone = owners_zone()
    days = per_day(zone)
    return {
        **context,
        "title": _("Overview"),
        "figures": [*figures(zone, days[-1]), *own_figures(request, days[-1])],
        "troubled": Inbox.objects.exclude(trouble="").select_related("business"),
        "budget_notices": spending.notices() if request.user.has_perm("prosa_costs.view_budget") else [],
        "days": days,
        "chart_width": DAYS * 40,
        "chart_height": CHART_HEIGHT,
        "zone": str(zone),
    }


def figures(zone: ZoneInfo, today: Day) -> list[Figure]:
    """What a person looks at first. ``today`` counts from midnight in ``zone``."""
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    conversations = reverse("admin:prosa_conversations_conversation_changelist")
    undelivered = Message.objects.filter(
        direction="out", status__in=UNDELIVERED, created_at__gte=timezone.now() - timedelta(days=7)
    ).count()
    waiting, dead = count_waiting(), count_dead()
    unknown = Turn.objects.filter(cost=None, requests__gt=0, started_at__gte=timezone.now() - timedelta(days=7)).count()
    return [
        Figure(
            _("Conversations today"), Conversation.objects.filter(last_inbound_at__gte=midnight).count(), conversations
        ),
        Figure(
            _("Messages today"),
            today.received + today.sent,
            conversations,
            note=_("%(received)d received, %(sent)d sent") % {"received": today.received, "sent": today.sent},
        ),
        Figure(
            _("Waiting for a person"),
            waiting,
            f"{conversations}?state__exact={State.AWAITING_AGENT}",
            "warning" if waiting else "calm",
        ),
        Figure(
            _("Undelivered, 7 days"),
            undelivered,
            reverse("admin:prosa_conversations_message_changelist"),
            "danger" if undelivered else "calm",
        ),
        Figure(
            _("Dead letters"),
            dead,
            reverse("admin:prosa_conversations_dispatch_changelist"),
            "danger" if dead else "calm",
        ),
        Figure(_("Answers of unknown price, 7 days"), unknown, conversations, "warning" if unknown else "calm"),
    ]


def own_figures(request: HttpRequest, today: Day) -> list[Figure]:
    """What waits for the owner elsewhere, and what today has cost; each only for who may open its page."""
    found = []
    if request.user.has_perm("prosa_knowledge.view_gap"):
        gaps = Gap.objects.filter(status=Gap.Status.OPEN).count()
        found.append(Figure(_("Unanswered questions"), gaps, reverse("admin:prosa_knowledge_gap_changelist")))
    if request.user.has_perm("prosa_knowledge.view_suggestion"):
        waiting = Suggestion.objects.filter(status=Suggestion.Status.WAITING).count()
        address = reverse("admin:prosa_knowledge_suggestion_changelist")
        found.append(Figure(_("Suggested answers"), waiting, address, "warning" if waiting else "calm"))
    if request.user.has_perm("prosa_knowledge.view_source"):
        failed = Source.objects.filter(status=Source.Status.FAILED).count()
        address = f"{reverse('admin:prosa_knowledge_source_changelist')}?status__exact={Source.Status.FAILED}"
        found.append(Figure(_("Sources not read"), failed, address, "danger" if failed else "calm"))
    if request.user.has_perm("prosa_costs.view_budget"):
        # Of the ledger, where a business's day lies under its date; one whose time zone is not known has none.
        spent = UsageDay.objects.filter(business__active=True, day=today.day).aggregate(
            cost=Sum("cost", default=Decimal(0)), unpriced=Sum("unpriced_requests", default=0)
        )
        total = f"US$ {spending.money(spent['cost'])}"
        address = reverse("admin:prosa_costs_budget_changelist")
        note = _("at least: some prices are not known") if spent["unpriced"] else ""
        found.append(Figure(_("Spent today"), total, address, note=note))
    return found


def per_day(zone: ZoneInfo) -> list[Day]:
    """Messages received and sent on each of the last :data:`DAYS` days in ``zone``, today last."""
    last = datetime.now(zone).date()
    first = last - timedelta(days=DAYS - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=zone)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (created_at AT TIME ZONE %s)::date, count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out')"
            " FROM prosa_conversations_message WHERE created_at >= %s GROUP BY 1",
            [str(zone), since],
        )
        counted = {day: (received, sent) for day, received, sent in cursor.fetchall()}
    highest = max((max(pair) for pair in counted.values()), default=0) or 1

    def height(count: int) -> int:
        return max(round(count * (CHART_HEIGHT - 8) / highest), 2) if count else 0

    days = []
    for place in range(DAYS):
        day = first + timedelta(days=place)
        received, sent = counted.get(day, (0, 0))
        days.append(Day(day, received, sent, place * 40, height(received), height(sent)))
    return days


def count_waiting() -> int:
    """Conversations in which a customer waits for a person."""
    return Conversation.objects.filter(state=State.AWAITING_AGENT).count()


def count_dead() -> int:
    """Work that was given up."""
    return Dispatch.objects.exclude(dead_at=None).count()


def waiting_badge(_request: HttpRequest) -> str:
    """For the side bar; empty when nobody waits."""
    return str(count_waiting() or "")


def dead_badge(_request: HttpRequest) -> str:
    """For the side bar; empty when there is none."""
    return str(count_dead() or "")


def trouble_badge(_request: HttpRequest) -> str:
    """Inboxes that cannot send; empty when all can."""
    return str(Inbox.objects.exclude(trouble="").count() or "")


def owners_zone() -> ZoneInfo:
    """The first active business's time zone: its owner's day is the day counted."""
    return zone_named(Business.objects.filter(active=True).order_by("pk").values_list("timezone", flat=True).first())
