"""The rota: who waits for a person is given to one who is there, one after the other, and on to the next when nobody comes.

Whoever has said they are available and has a desk open is there. The rota only names whom a customer waits for: the
conversation is theirs when they take it or write. Everything is decided under one lock per business, so that nobody is given
more than they said they can hold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from prosa import queue, sql
from prosa.business import hours
from prosa.business.models import Business
from prosa.business.people import Membership, Team
from prosa.business.zones import zone_named
from prosa.contracts import Listener
from prosa.conversations import calling, ownership
from prosa.conversations.models import Conversation, Event, State
from prosa.conversations.ownership import NOBODY, Wish
from prosa.conversations.states import Move
from prosa.hookspecs import hookimpl
from prosa.queue import chore, periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "assignment.sql")

AWAY = timedelta(minutes=2)
"""Since a desk was last seen open; then its person is not there."""
BATCH = 200
"""Conversations of one business looked at at a time, the longest waiting first."""
ESCALATE = 2
"""Nobody took it in so many times the business's minutes: administrators are told."""


@hookimpl
def listeners() -> list[Listener]:
    """Handing off, and giving to a team, asks the rota."""
    return [Listener(frozenset({str(Move.HAND_OFF), str(Move.ASSIGN)}), rota, "rota")]


@chore
def rota(conversation_id: int) -> None:
    """Give a waiting conversation to its team, and to somebody there; it goes on waiting when nobody is."""
    offer(conversation_id)


@chore
def drain(business_id: int) -> None:
    """Give out what waits for anybody, the longest waiting first, as far as there are hands."""
    waiting = (
        Conversation.objects.filter(business_id=business_id, state=State.AWAITING_AGENT, assignee=None)
        .order_by("state_at", "id")
        .values_list("pk", "team_id")[:BATCH]
    )
    full: set[int | None] = set()
    for pk, team_id in list(waiting):
        if team_id in full:
            continue
        try:
            if not offer(pk):
                full.add(team_id)
        except Exception:  # one conversation in trouble must not keep the others
            log.exception("Conversation %s could not be given out; it is tried again in a moment.", pk)


def welcome(businesses: Iterable[int]) -> None:
    """Somebody of these businesses has come: what waits is given out."""
    for business_id in businesses:
        queue.defer_once(drain, f"rota-drain:{business_id}", business_id=business_id)


def offer(conversation_id: int) -> bool:
    """Name whom a conversation waits for, if nobody is named yet. True when somebody is now, or it waits no more."""
    with transaction.atomic():
        conversation = _held(conversation_id)
        if conversation is None or conversation.state != State.AWAITING_AGENT or conversation.assignee_id is not None:
            return True
        team = conversation.team or _team(conversation)
        member = _next(conversation, team)
        if member is not None or (team is not None and conversation.team_id is None):
            _name(conversation, member, team)
        return member is not None


def pass_on(conversation_id: int) -> bool:
    """Take it from who was named and is away, or did not take it, and name the next; with nobody else there, only who is
    away loses it. Whoever took or answered it a moment ago keeps it. True when it changed."""
    with transaction.atomic():
        conversation = _held(conversation_id)
        found = _stuck(conversation.business, conversation_id) if conversation is not None else []
        if conversation is None or not found:
            return False
        [(_pk, reason)] = found
        member = _next(conversation, conversation.team)
        if member is None and reason != "away":
            return False
        _name(conversation, member, conversation.team, reason)
        return True


def _held(conversation_id: int) -> Conversation | None:
    """The conversation under its lock, which is taken inside the lock of its business's rota."""
    business_id = Conversation.objects.filter(pk=conversation_id).values_list("business_id", flat=True).first()
    if business_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('prosa rota', %s))", [business_id])
    return Conversation.objects.select_for_update(of=("self",), no_key=True).filter(pk=conversation_id).first()


def _team(conversation: Conversation) -> Team | None:
    """The team the handoff named, else the inbox's, else the business's team for everything else. What a person gave to anybody stays so."""
    last = (
        Event.objects.filter(conversation=conversation, kind__in=[str(Move.HAND_OFF), str(Move.ASSIGN)])
        .order_by("-id")
        .first()
    )
    if last is not None and last.kind == Move.ASSIGN:
        return None
    wished = last.data.get("team") if last is not None and isinstance(last.data, dict) else ""
    with connection.cursor() as cursor:
        cursor.execute(
            calling.queries.team.decode(),
            {
                "business_id": conversation.business_id,
                "inbox_id": conversation.inbox_id,
                "team": str(wished or ""),
            },
        )
        row = cursor.fetchone()
    return Team.objects.filter(pk=row[0]).first() if row else None


def _next(conversation: Conversation, team: Team | None) -> Membership | None:
    """Whose turn it is among those there and free: first those who have not let this conversation pass, and never who has it."""
    moves = Event.objects.filter(
        conversation=conversation, kind=str(Move.ASSIGN), created_at__gte=conversation.state_at
    )
    passed: list[int] = [
        each["member_id"]
        for each in moves.values_list("data", flat=True)
        if isinstance(each, dict) and isinstance(each.get("member_id"), int)
    ]
    movers = [actor for actor in moves.values_list("actor", flat=True) if actor.startswith("user:")]
    mine = [conversation.assignee_id] if conversation.assignee_id else []
    passed += Membership.objects.filter(
        business_id=conversation.business_id, user_id__in=[actor.partition(":")[2] for actor in movers]
    ).values_list("pk", flat=True)
    for without in ([*passed, *mine], mine):
        parameters: dict[str, Any] = {
            "business_id": conversation.business_id,
            "team_id": team.pk if team else None,
            "without": without,
            "away": AWAY,
        }
        with connection.cursor() as cursor:
            cursor.execute(queries.next.decode(), parameters)
            row = cursor.fetchone()
        if row is not None:
            return Membership.objects.select_related("user").get(pk=row[0])
    return None


def _name(conversation: Conversation, member: Membership | None, team: Team | None, reason: str = "") -> None:
    told: dict[str, Any] = {"member": str(member) if member else "", "team": str(team) if team else ""}
    if member is not None:
        told["member_id"] = member.pk
        Membership.objects.filter(pk=member.pk).update(offered_at=timezone.now())
    ownership.act(
        conversation.pk,
        Wish(
            Move.ASSIGN,
            "system",
            told | ({"reason": reason} if reason else {}),
            assignee=member.pk if member else NOBODY,
            team=team.pk if team else None,
            quiet=True,
        ),
    )


# ── the round ──


@periodic("* * * * * */15")
def go_round() -> None:
    """What nobody took goes on to the next, what waits is given out, and what waited too long is told to administrators."""
    with connection.cursor() as cursor:
        cursor.execute(queries.businesses.decode())
        numbers = [row[0] for row in cursor.fetchall()]
    for business in Business.objects.filter(pk__in=numbers):
        try:
            _round(business)
        except Exception:  # one business in trouble must not keep the others
            log.exception("The rota of business %s stumbled; it goes on in a moment.", business.pk)


def _round(business: Business) -> None:
    open_ = opening(business)
    now = timezone.now()
    for pk, _reason in _stuck(business):
        try:
            pass_on(pk)
        except Exception:
            log.exception("Conversation %s could not be passed on; it is tried again in a moment.", pk)
    if _rows(queries.hands, business):
        drain(business.pk)
    # By night nobody is told; and in the morning not before there was time to take it.
    patience = timedelta(minutes=ESCALATE * business.take_minutes)
    if business.take_minutes and open_.open_at(now) and open_.open_at(now - patience):
        for (pk,) in _rows(queries.forgotten, business, patience=patience, only=None):
            with transaction.atomic():
                # Asked again under the lock: somebody may have taken it, or another round have told it.
                if _held(pk) is not None and _rows(queries.forgotten, business, patience=patience, only=pk):
                    ownership.tell(pk, "escalated", "system", minutes=ESCALATE * business.take_minutes)


def _stuck(business: Business, only: int | None = None) -> list[tuple[Any, ...]]:
    """(conversation, away or not_taken) of what must go on to the next; of one conversation, or all."""
    return _rows(queries.stuck, business, open=opening(business).open_at(timezone.now()), only=only)


def _rows(query: bytes, business: Business, **more: Any) -> list[tuple[Any, ...]]:
    take = timedelta(minutes=business.take_minutes)
    parameters: dict[str, Any] = {"business_id": business.pk, "away": AWAY, "take": take, "most": BATCH, **more}
    with connection.cursor() as cursor:
        cursor.execute(query.decode(), parameters)
        return list(cursor.fetchall())


def opening(business: Business) -> hours.Hours:
    """When people of the business are at work, as it says."""
    zone = zone_named(business.timezone)
    today = timezone.now().astimezone(zone).date()
    near = business.holidays.filter(
        day__range=(today - timedelta(days=2), today + timedelta(days=hours.LOOK_AHEAD + 1))
    )
    return hours.read(business.hours, {each.day.isoformat(): each.hours for each in near}, zone)
