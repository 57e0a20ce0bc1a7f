"""Who is at the desk, how much they have to do, and who has which conversation before them.

An open desk tells when another conversation is opened in it, and nothing more: that it is still open is known from its event
stream, for all desks of a process in one statement every half minute.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from prosa import realtime, sql
from prosa.business.models import Business
from prosa.business.users import name_of
from prosa.conversations.models import Conversation
from prosa.desk.access import Seat, desk
from prosa.desk.assignment import AWAY
from prosa.desk.models import Look

queries = sql.load(__file__, "presence.sql")

GONE = timedelta(seconds=75)
"""A desk whose stream was last seen longer ago looks at nothing."""
KEY = re.compile(r"[\w-]{8,36}")
"""How a page may name itself."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who answers customers. ``load``: conversations they have, of ``capacity`` (0: what they want)."""

    pk: int
    name: str
    here: bool
    load: int
    capacity: int

    @property
    def told(self) -> str:
        """In a line of a list."""
        if self.here and self.capacity:
            words = _("here · %(load)d of %(capacity)d")
        elif self.here:
            words = _("here · %(load)d")
        else:
            words = _("away · %(load)d")
        return f"{'●' if self.here else '○'} {self.name} · " + words % {"load": self.load, "capacity": self.capacity}


@dataclass(frozen=True, slots=True)
class Looker:
    """An open desk with a conversation before it."""

    tab: str
    member_id: int
    name: str


def colleagues(business: Business) -> list[Colleague]:
    """Everybody of the business who answers customers: who is here first, each by name. One query."""
    parameters: dict[str, Any] = {"business_id": business.pk, "away": AWAY}
    with connection.cursor() as hand:
        hand.execute(queries.colleagues.decode(), parameters)
        found = {row[0]: row[1:] for row in hand.fetchall()}
    members = business.members.filter(pk__in=found).select_related("user")
    made = [Colleague(each.pk, name_of(each), *found[each.pk]) for each in members]
    return sorted(made, key=lambda each: (not each.here, each.name.casefold()))


def lookers(conversations: Iterable[int]) -> dict[int, list[Looker]]:
    """By conversation: the desks it stands open in."""
    found: dict[int, list[Looker]] = defaultdict(list)
    rows = Look.objects.filter(
        conversation__in=list(conversations), seen_at__gt=timezone.now() - GONE, member__left_at=None
    )
    for each in rows.select_related("member__user").order_by("member_id"):
        found[each.conversation_id].append(Looker(each.tab, each.member_id, name_of(each.member)))
    return found


def others(looking: Iterable[Looker], member_id: int) -> list[str]:
    """The names of those who look besides this member, each once."""
    return list({each.member_id: each.name for each in looking if each.member_id != member_id}.values())


def read_up_to(conversations: Iterable[int], members: Iterable[int]) -> list[tuple[int, int, int]]:
    """(member, conversation, newest message they have read) where they ever opened it."""
    with connection.cursor() as hand:
        hand.execute(queries.read.decode(), {"ids": list(conversations), "members": list(members)})
        return list(hand.fetchall())


def still(tabs: Iterable[str]) -> None:
    """These desks are open; what was open in desks that are not is looked at no longer."""
    now = timezone.now()
    Look.objects.filter(tab__in=list(tabs)).update(seen_at=now)
    with connection.cursor() as hand:
        hand.execute(queries.forget.decode(), {"before": now - GONE})
        left = {row[0] for row in hand.fetchall()}
    for conversation_id in left:
        realtime.publish("place", conversation_id)


@require_POST
@desk()
def look(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The desk ``tab`` has ``conversation`` before it, or none (0). JSON ``{"names"}``: who else looks at it."""
    tab, asked = request.POST.get("tab", ""), request.POST.get("conversation", "")
    if not KEY.fullmatch(tab) or not asked.isdecimal():
        return HttpResponse(status=400)
    number = int(asked[:18])
    if number and not Conversation.objects.filter(business=seat.business, pk=number).exists():
        number = 0
    with transaction.atomic():
        mine = Look.objects.select_for_update().filter(tab=tab, member=seat.member)
        before = mine.values_list("conversation_id", flat=True).first() or 0
        if not number:
            mine.delete()
        else:
            with connection.cursor() as hand:
                hand.execute(
                    queries.look.decode(), {"tab": tab, "member_id": seat.member.pk, "conversation_id": number}
                )
        for each in sorted({before, number} - {0} if before != number else ()):
            realtime.publish("place", each)
    looking = lookers([number]).get(number, []) if number else []
    return JsonResponse({"names": others(looking, seat.member.pk)})


@require_GET
@never_cache
@desk()
def people(_request: HttpRequest, seat: Seat) -> HttpResponse:
    """JSON: each colleague as they stand in the list one assigns from, by member."""
    return JsonResponse({str(each.pk): each.told for each in colleagues(seat.business)})
