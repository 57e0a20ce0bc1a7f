"""Telling people that a customer waits: who hears of it, gathering it into one digest, sending that, trying again.

A move of a conversation defers :func:`hear`, which writes one :class:`Notice` for every outlet that asked to be told. What
was gathered for :data:`GATHER_S` goes out together. Whether it is still true is looked up at that moment, so nobody is
called to a conversation somebody took meanwhile. Delivery is at least once: a notice has an id to be known again by.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from email.errors import MessageError
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa import queue, sql
from prosa.business.people import Membership, Role
from prosa.business.users import active, has_field
from prosa.business.zones import zone_named
from prosa.contracts import Finding, Listener
from prosa.conversations.acts.proving import mails
from prosa.conversations.models import Conversation
from prosa.desk import digests, webhooks
from prosa.desk.models_notices import Discretion, Notice, Outlet, Way
from prosa.desk.webhooks import Trouble
from prosa.hookspecs import hookimpl

queries = sql.load(__file__, "notices.sql")

KINDS = ("unsent", "asked", "handed_off", "assigned", "escalated", "unanswered")
GATHER_S = 120.0
"""What happens within so many seconds is told at once."""
PAUSE_S = 300.0
"""Between two mails to one person."""
RESTS_S = (15.0, 60.0, 240.0, 900.0, 900.0, 900.0, 900.0)
"""Between tries of what failed; after the last the notices are given up: more than an hour in all."""
KEPT = timedelta(days=30)


@hookimpl
def listeners() -> Iterable[Listener]:
    """Whoever wants to be told hears of every way in which a conversation comes to wait for people."""
    kinds = {"handed_off", "assigned", "escalated", "case_asked", "case_reminded", "unsent"}
    return [Listener(frozenset(kinds), hear, "notices")]


@hookimpl
def doctor_checks() -> Iterable[Finding]:
    """Outlets that were not reached when it was last tried."""
    failing = Outlet.objects.filter(active=True).exclude(error="").select_related("business")
    return [
        Finding(
            "warning",
            _("notifications"),
            f"{each.business} · {each}: {webhooks.explain(each.error)}",
            _("Mend it under Settings in the desk, and send a test."),
        )
        for each in failing[:20]
    ]


@queue.chore
def hear(conversation_id: int) -> None:
    """Note down for whom there is news in this conversation. Harmless when it is done again."""
    with transaction.atomic():
        business_id = Conversation.objects.filter(pk=conversation_id).values_list("business_id", flat=True).first()
        if business_id is not None:
            welcome(business_id)
            with connection.cursor() as hand:
                told: dict[str, Any] = {"conversation_id": conversation_id, "off": _turned_off()}
                hand.execute(queries.hear.decode(), told)
                hand.execute(queries.hear_asked.decode(), told)
                hand.execute(queries.hear_unsent.decode(), told)


def _turned_off() -> list[int]:
    """Members with an outlet whose account is switched off: they are told nothing."""
    theirs = Outlet.objects.filter(member__isnull=False).exclude(active("member__user__"))
    return list(theirs.values_list("member_id", flat=True)) if has_field("is_active") else []


def welcome(business_id: int | None = None) -> None:
    """Whoever answers customers and has an address is told by e-mail until they choose otherwise.

    Members to whom the rota gives nothing (owners that look in) hear only of what is theirs or in trouble.
    """
    if not mails():
        return
    without = Membership.objects.filter(active("user__"), left_at=None, outlets__isnull=True).exclude(role=Role.VIEWER)
    if business_id is not None:
        without = without.filter(business_id=business_id)
    Outlet.objects.bulk_create(
        [
            Outlet(
                business_id=each.business_id,
                member=each,
                way=Way.EMAIL,
                handed_off=each.capacity > 0,
                asked=each.capacity > 0,
            )
            for each in without.select_related("user")
            if digests.address_of(each)
        ],
        ignore_conflicts=True,
    )


@queue.periodic("* * * * *")
def watch() -> None:
    """Note down customers whose person has not answered for as long as an outlet has patience."""
    welcome()
    with connection.cursor() as hand:
        hand.execute(queries.unanswered.decode(), {"off": _turned_off()})


@queue.periodic("* * * * * */15")
def pass_on() -> None:
    """Send what was gathered long enough. To one person one thing at a time, whichever business it is about."""
    for outlet_id, lane in ripe():
        queue.defer_once(tell, f"notices:{outlet_id}", lane, outlet_id=outlet_id)


@queue.periodic("41 4 * * *")
def forget() -> None:
    """Delete notices after 30 days."""
    Notice.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


def ripe(outlet_id: int | None = None) -> list[tuple[int, str]]:
    """Outlets (or this one) with something that may go out now, each with the lane in which it is sent."""
    now = timezone.now()
    with connection.cursor() as hand:
        parameters = {"outlet_id": outlet_id, "gather": GATHER_S, "pause": PAUSE_S, "off": _turned_off()}
        hand.execute(queries.ripe.decode(), parameters)
        found = hand.fetchall()
    return [
        (pk, f"mail:{user_id}" if way == Way.EMAIL else f"outlet:{pk}")
        for pk, way, user_id, zone, quiet_from, quiet_to in found
        if not quiet(now.astimezone(zone_named(zone)).time(), quiet_from, quiet_to)
    ]


def quiet(at: time, begin: time | None, end: time | None) -> bool:
    """Is ``at`` within the quiet hours? Past midnight when they end before they begin; the same twice is never."""
    if begin is None or end is None or begin == end:
        return False
    return begin <= at < end if begin < end else at >= begin or at < end


@queue.chore
def tell(outlet_id: int) -> None:
    """Send an outlet what waits for it and is still true, as one digest; write down what came of it."""
    outlet = Outlet.objects.select_related("business", "team", "member__user").filter(pk=outlet_id, active=True).first()
    if outlet is None or not ripe(outlet_id):
        return
    rest = RESTS_S[min(outlet.attempts, len(RESTS_S) - 1)]
    # Before it is sent: a worker that dies meanwhile does not make it come back at once.
    Outlet.objects.filter(pk=outlet_id).update(next_at=timezone.now() + timedelta(seconds=rest))
    true, moot = _look(outlet)
    Notice.objects.filter(pk__in=moot).update(status="moot", told_at=timezone.now())
    if not true:
        Outlet.objects.filter(pk=outlet_id).update(next_at=None, attempts=0)
        return
    told = [pk for each in true for pk in each.notices]
    try:
        send(outlet, digests.Digest(outlet, tuple(true)))
    except Trouble as trouble:
        _failed(outlet, trouble, told, rest)
        return
    now = timezone.now()
    with transaction.atomic():
        Notice.objects.filter(pk__in=told).update(status="sent", told_at=now)
        Outlet.objects.filter(pk=outlet_id).update(
            sent_at=now, succeeded_at=now, next_at=None, attempts=0, error="", failed_at=None
        )


def _failed(outlet: Outlet, trouble: Trouble, told: list[int], rest: float) -> None:
    now = timezone.now()
    over = trouble.lasting or outlet.attempts >= len(RESTS_S)
    with transaction.atomic():
        if over:
            Notice.objects.filter(pk__in=told).update(status="failed", told_at=now)
        Outlet.objects.filter(pk=outlet.pk).update(
            error=str(trouble),
            failed_at=now,
            attempts=0 if over else F("attempts") + 1,
            next_at=None if over else now + timedelta(seconds=max(rest, trouble.retry_after or 0)),
        )


def _look(outlet: Outlet) -> tuple[list[digests.News], list[int]]:
    """What waits for an outlet: news that is true, one for each conversation, and the ids of notices that are not any more."""
    quotes = Discretion.objects.filter(business_id=outlet.business_id, quotes=True).exists()
    with connection.cursor() as hand:
        hand.execute(queries.still.decode(), {"outlet_id": outlet.pk, "off": _turned_off()})
        found = hand.fetchall()
    moot = [row[0] for row in found if not row[4]]
    by_conversation: dict[int, list[Any]] = {}
    for row in found:
        if row[4]:
            by_conversation.setdefault(row[2], []).append(row)
    return [_news(rows, quotes=quotes) for rows in by_conversation.values()], moot


def _news(rows: list[Any], *, quotes: bool) -> digests.News:
    _pk, kind, conversation_id, _at, _true, name, inbox, team, reason, said = max(
        rows, key=lambda row: KINDS.index(row[1])
    )
    since: datetime = min(row[3] for row in rows)
    reason = reason or next((row[8] for row in rows if row[8]), "")
    return digests.news(
        conversation_id, kind, since, name=name, inbox=inbox, team=team, reason=reason, said=said if quotes else "",
        notices=tuple(row[0] for row in rows),
    )  # fmt: skip


def send(outlet: Outlet, digest: digests.Digest) -> str:
    """Send now; what the other side said to it.

    :raises Trouble: it was not taken.
    """
    if outlet.way == Way.EMAIL:
        if not mails():
            raise Trouble("no-mail")
        letter = digest.letter()
        if not letter.to:
            raise Trouble("no-address", lasting=True)
        try:
            letter.send()
        except (ValueError, MessageError):
            # The mail cannot even be written; another try would say the same.
            raise Trouble("bad-address", lasting=True) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Trouble("mail", _why(error)) from None
        return letter.to[0]
    url, secret = str(outlet.address.get("url", "")), str(outlet.address.get("secret", ""))
    payload = digest.slack() if outlet.way == Way.SLACK else digest.body()
    answer = webhooks.post(url, payload, secret if outlet.way == Way.WEBHOOK else "")
    return f"{answer.status} {answer.said}".strip()


def _why(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def try_out(outlet: Outlet) -> str:
    """Send a test now, and write down what came of it; what the other side said.

    :raises Trouble: it was not taken.
    """
    now = timezone.now()
    try:
        said = send(outlet, digests.Digest(outlet, (), test=True))
    except Trouble as trouble:
        Outlet.objects.filter(pk=outlet.pk).update(error=str(trouble), failed_at=now)
        raise
    # What waits after failures may be tried at once again.
    Outlet.objects.filter(pk=outlet.pk).update(succeeded_at=now, error="", failed_at=None, next_at=None, attempts=0)
    return said
