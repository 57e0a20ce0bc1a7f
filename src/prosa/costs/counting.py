"""What free tiers count: requests to models, a day and a minute, and WhatsApp's conversations of a month.

Counted from what is recorded anyway. The models' quotas are what the gate reads: used up, the chain goes to the next model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from prosa.business.models import Business
from prosa.business.zones import zone_named
from prosa.costs.models import Budget, ModelQuota

NEARLY = 0.8
"""From this part of a quota on people are warned."""


@dataclass(frozen=True, slots=True)
class Messages:
    """A business's WhatsApp in this month: ``conversations`` with a message of ours, messages ``sent``, and of these ``templates``."""

    conversations: int = 0
    sent: int = 0
    templates: int = 0


messages: Callable[[int, date, str], Messages] = lambda _business, _day, _zone: Messages()  # noqa: E731 -- replaced whole
"""Of the month of a business's day in its time zone. Conversations lie above this package: they put their own look here."""


@dataclass(frozen=True, slots=True)
class Count:
    """So many of at most ``most`` (0 = no limit), in a ``span``: day, minute or month. ``model`` is empty for WhatsApp."""

    name: str
    count: int
    most: int
    span: str
    model: str = ""
    detail: str = ""

    @property
    def percent(self) -> int:
        """Of the limit, at most 100."""
        return min(100, self.count * 100 // self.most) if self.most else 0

    @property
    def level(self) -> str:
        """``calm``, ``warning`` or ``danger``."""
        if not self.most or self.count < self.most * NEARLY:
            return "calm"
        return "danger" if self.count >= self.most else "warning"


def requests(day: date | None = None) -> list[Count]:
    """Of every model with a quota, its requests on ``day`` (the first business's when none is given) and in this minute."""
    if not ModelQuota.objects.exists():
        return []
    zone = Business.objects.order_by("pk").values_list("timezone", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM prosa_costs_requests(%s)", [day or datetime.now(zone_named(zone)).date()])
        rows = cursor.fetchall()
    found = []
    for model, per_day, per_minute, today, this_minute in rows:
        if per_day is not None:
            found.append(Count(_("%(model)s today") % {"model": model}, today, per_day, "day", model))
        if per_minute is not None:
            name = _("%(model)s this minute") % {"model": model}
            found.append(Count(name, this_minute, per_minute, "minute", model))
    return found


def of(budget: Budget, day: date) -> list[Count]:
    """The counters of the budget page; WhatsApp's where there is any, or a limit for it."""
    return [*requests(day), *_whatsapp(budget, day)]


def _whatsapp(budget: Budget, day: date) -> list[Count]:
    found = messages(budget.business_id, day, budget.business.timezone)
    if not found.conversations and budget.whatsapp_month is None:
        return []
    detail = _("%(sent)d messages sent, %(templates)d of them templates") % {
        "sent": found.sent,
        "templates": found.templates,
    }
    name = _("WhatsApp conversations this month")
    return [Count(name, found.conversations, budget.whatsapp_month or 0, "month", "", detail)]


def warnings() -> list[tuple[str, Count, str]]:
    """What is nearly or wholly used up: whose (a model or a business), the counter, and the address of its page."""
    told = [(each.model, each, _address("prosa_costs_modelquota_changelist")) for each in requests()]
    for budget in Budget.objects.select_related("business").exclude(whatsapp_month=None):
        today = datetime.now(zone_named(budget.business.timezone)).date()
        address = _address("prosa_costs_budget_change", budget.pk)
        told += [(str(budget.business), each, address) for each in _whatsapp(budget, today)]
    return [each for each in told if each[1].level != "calm"]


def _address(page: str, *arguments: int) -> str:
    try:
        return reverse(f"admin:{page}", args=arguments)
    except NoReverseMatch:
        return ""
