"""The left pane: which conversations a person looks at, in which order, and how many wait."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from prosa import phones, sql
from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.business.users import name_of
from prosa.conversations.models import State
from prosa.conversations.thread import kind_name
from prosa.desk.access import Seat

queries = sql.load(__file__, "queues.sql")

PAGE = 40
QUEUES = {
    "waiting": gettext_noop("Waiting"),
    "mine": gettext_noop("Mine"),
    "team": gettext_noop("My teams"),
    "people": gettext_noop("With people"),
    "questions": gettext_noop("Questions"),
    "bot": gettext_noop("Assistant"),
    "snoozed": gettext_noop("Snoozed"),
    "resolved": gettext_noop("Resolved"),
    "all": gettext_noop("All"),
}
"""Name → what the desk calls it. ``waiting`` is the only one that begins with the oldest."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows a queue down; ids of the business's own rows. ``ids``: only these conversations (found by a search)."""

    inbox_id: int | None = None
    assignee_id: int | None = None
    team_id: int | None = None
    label_id: int | None = None
    ids: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation as the list shows it to one member, who has not read what is ``unread``. ``cursor`` asks for the page
    after it."""

    id: int
    state: str
    state_at: datetime
    at: datetime
    epoch: int
    snoozed: bool
    snoozed_until: datetime | None
    name: str
    inbox: str
    channel: str
    assignee_id: int | None
    assignee: str
    team_id: int | None
    team: str
    author: str
    said: str
    said_at: datetime | None
    undelivered: bool
    unread: bool
    waiting: int
    labels: list[tuple[str, str]]
    inbox_id: int = 0
    label_ids: tuple[int, ...] = ()
    inbound: int = 0
    """The customer's newest message."""
    escalated: bool = False
    """Did nobody take it, so that administrators were told?"""
    asked_at: datetime | None = None
    """Since when the assistant waits for the answer to a question of its own, of ``asked_team_id`` or of everybody."""
    asked_team_id: int | None = None
    found: str = ""
    """The line a search found, as HTML."""
    found_at: str = ""
    """Where in the conversation that is: a message's number, or ``n`` and a note's."""

    @property
    def cursor(self) -> str:
        """Opaque; for :func:`page`."""
        return f"{self.at.isoformat()},{self.id}"

    @property
    def urgent(self) -> bool:
        """Does a customer wait for a person?"""
        return self.state == State.AWAITING_AGENT


@dataclass(frozen=True, slots=True)
class Counts:
    """Conversations in the queues that ask for people. ``oldest``: since when the first one waits."""

    waiting: int = 0
    mine: int = 0
    team: int = 0
    people: int = 0
    snoozed: int = 0
    oldest: datetime | None = None
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order. ``next`` is the cursor of the page after, empty on the last."""

    rows: list[Row] = field(default_factory=list)
    next: str = ""


def teams_of(member: Membership) -> list[int]:
    """The teams a member is in."""
    return list(member.teams.values_list("pk", flat=True))


def _after(cursor: str) -> tuple[datetime | None, int | None]:
    at, _comma, pk = cursor.partition(",")
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        return None, None
    # PostgreSQL's numbers end somewhere, and so do Python's years where time zones are added.
    return (when, int(pk)) if pk.isdecimal() and len(pk) <= 18 and 2 < when.year < 9998 else (None, None)


def page(seat: Seat, queue: str, filters: Filters | None = None, cursor: str = "", most: int = PAGE) -> Page:
    """A page of a queue, in a few queries however many rows. An unreadable cursor means the first page."""
    filters = filters or Filters()
    after_at, after_id = _after(cursor)
    rows = _rows(
        seat.business,
        seat.member.pk,
        {
            "teams": teams_of(seat.member),
            "queue": queue if queue in QUEUES else "all",
            "oldest_first": queue == "waiting",
            "inbox_id": filters.inbox_id,
            "assignee_id": filters.assignee_id,
            "team_id": filters.team_id,
            "label_id": filters.label_id,
            "ids": filters.ids,
            "after_at": after_at,
            "after_id": after_id,
            "most": most + 1,
        },
    )
    return Page(rows[:most], rows[most - 1].cursor if len(rows) > most else "")


def rows_of(business: Business, ids: list[int]) -> list[Row]:
    """These conversations of the business as everybody's lists show them: who has read what is not said, none is ``unread``."""
    rows = _rows(
        business,
        0,
        {
            "teams": [],
            "queue": "all",
            "oldest_first": False,
            "inbox_id": None,
            "assignee_id": None,
            "team_id": None,
            "label_id": None,
            "ids": ids,
            "after_at": None,
            "after_id": None,
            "most": len(ids),
        },
    )
    return [replace(row, unread=False) for row in rows]


def _rows(business: Business, member_id: int, parameters: dict[str, Any]) -> list[Row]:
    with connection.cursor() as hand:
        hand.execute(queries.page.decode(), {"business_id": business.pk, "member_id": member_id, **parameters})
        found = hand.fetchall()
    shown = {each[11] for each in found} - {None}  # the assignees
    names = {each.pk: name_of(each) for each in business.members.filter(pk__in=shown).select_related("user")}
    teams = dict(business.teams.values_list("pk", "name"))
    return [_row(each, names, teams) for each in found]


def _row(columns: Any, names: dict[int, str], teams: dict[int, str]) -> Row:
    (pk, state, state_at, at, epoch, snoozed, until, name, address, inbox, channel, assignee, team, author, kind, text, said_at, status,
     unread, waiting, labels, inbox_id, inbound, escalated, asked_at, asked_team_id) = columns  # fmt: skip
    return Row(
        id=pk,
        state=state,
        state_at=state_at,
        at=at,
        epoch=epoch,
        snoozed=bool(snoozed),
        snoozed_until=until,
        name=name or (phones.pretty(address) if address and address.startswith("+") else address) or f"#{pk}",
        inbox=inbox,
        channel=channel,
        assignee_id=assignee,
        assignee=names.get(assignee, ""),
        team_id=team,
        team=teams.get(team, ""),
        author=author or "",
        said=" ".join((text or "").split()) or (kind_name(kind) if kind else ""),
        said_at=said_at,
        undelivered=status in ("failed", "unconfirmed"),
        unread=unread,
        waiting=waiting,
        labels=[(each[0], each[1]) for each in labels or ()],
        inbox_id=inbox_id,
        label_ids=tuple(int(each[2]) for each in labels or ()),
        inbound=inbound or 0,
        escalated=escalated,
        asked_at=asked_at,
        asked_team_id=asked_team_id,
    )


def counts(seat: Seat) -> Counts:
    """One query over the conversations that people have or wait for."""
    with connection.cursor() as hand:
        hand.execute(
            queries.counts.decode(),
            {"business_id": seat.business.pk, "member_id": seat.member.pk, "teams": teams_of(seat.member)},
        )
        return Counts(*hand.fetchone())


def queue_names() -> list[tuple[str, str]]:
    """(name, label) in the order of the desk."""
    return [(name, _(label)) for name, label in QUEUES.items()]
