"""What a person may do with a conversation from the desk. One function each; all moves go through ``ownership``.

The views check that the conversation is of the person's business; here is checked what their role allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa import realtime
from prosa.business.people import Membership, Role, Team
from prosa.contracts import OutboundMessage
from prosa.conversations import ownership, replying, sessions
from prosa.conversations.models import Conversation, Label
from prosa.conversations.ownership import NOBODY, Wish
from prosa.conversations.replying import Enclosure
from prosa.conversations.states import Move
from prosa.desk.access import Seat
from prosa.desk.models import Note, Place
from prosa.errors import BadInput, NotAllowed

MOST_NOTE = 10_000
FARTHEST = timedelta(days=365)
"""How long a conversation may be put aside."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page showed when its button was pressed; None where it does not say. ``last``: the newest message's id."""

    epoch: int | None = None
    last: int | None = None


UNASKED = Seen()


def _as(seat: Seat, role: Role = Role.AGENT) -> None:
    if not seat.may(role):
        raise NotAllowed(_("Your role may look, not do this.\nAsk an administrator of the business."))


# Every move :raises ownership.Overtaken: somebody moved it since the page was drawn. Whose it is already is not asked: what their
# page does not show yet is what they did themselves, and whom the rota only named has moved nothing.


def take(seat: Seat, conversation: Conversation, seen: Seen = UNASKED) -> None:
    """It is this person's now."""
    _as(seat)
    _go(seat, conversation, Move.TAKE, seen, assignee=seat.member.pk)


def assign(
    seat: Seat, conversation: Conversation, member: Membership | None, team: Team | None, seen: Seen = UNASKED
) -> None:
    """It waits for a colleague, a team, or (neither) anybody."""
    _as(seat)
    for named in (member, team):
        if named is not None and named.business_id != seat.business.pk:
            raise NotAllowed(_("They do not work for this business."))
    if member is not None and not member.may(Role.AGENT):
        raise BadInput(_("%s cannot answer customers.\nChoose somebody else.") % member)
    if member is not None and member.pk == seat.member.pk:
        take(seat, conversation, seen)
        return
    _go(
        seat,
        conversation,
        Move.ASSIGN,
        seen,
        {"member": str(member) if member else "", "team": str(team) if team else ""},
        assignee=member.pk if member else NOBODY,
        team=team.pk if team else NOBODY,
    )


def give_back(seat: Seat, conversation: Conversation, seen: Seen = UNASKED) -> None:
    """The assistant answers again."""
    _as(seat)
    _go(seat, conversation, Move.GIVE_BACK, seen)


def resolve(seat: Seat, conversation: Conversation, seen: Seen = UNASKED) -> None:
    """Done. :raises ownership.Unread: the customer has written something more."""
    _as(seat)
    _go(seat, conversation, Move.RESOLVE, seen, known_inbound=seen.last)


def reopen(seat: Seat, conversation: Conversation, seen: Seen = UNASKED) -> None:
    """Take up again what was resolved."""
    _as(seat)
    _go(seat, conversation, Move.REOPEN, seen, assignee=seat.member.pk)


def snooze(seat: Seat, conversation: Conversation, until: datetime, seen: Seen = UNASKED) -> None:
    """Put aside until a time or the customer's next message. :raises ownership.Unread: which has come already."""
    _as(seat)
    seconds = (until - timezone.now()).total_seconds()
    if seconds <= 0:
        raise BadInput(_("That time is over.\nChoose one to come."))
    if seconds > FARTHEST.total_seconds():
        raise BadInput(_("Choose a time to come, within a year."))
    # A second later rather than a moment earlier: the transaction may have begun before our clock was read.
    _go(
        seat,
        conversation,
        Move.SNOOZE,
        seen,
        {"until": until.isoformat()},
        assignee=seat.member.pk,
        snooze=seconds + 1,
        known_inbound=seen.last,
    )


def wake(seat: Seat, conversation: Conversation, seen: Seen = UNASKED) -> None:
    """Back before its time."""
    _as(seat)
    _go(seat, conversation, Move.WAKE, seen)


def _go(
    seat: Seat,
    conversation: Conversation,
    move: Move,
    seen: Seen,
    data: dict[str, Any] | None = None,
    *,
    assignee: int | None = None,
    team: int | None = None,
    snooze: float | None = None,
    known_inbound: int | None = None,
) -> None:
    ownership.act(
        conversation.pk,
        Wish(
            move,
            seat.actor,
            data or {},
            assignee=assignee,
            team=team,
            known_epoch=seen.epoch,
            known_inbound=known_inbound,
            mover=seat.member.pk,
            snooze=snooze,
        ),
    )


def start_afresh(seat: Seat, conversation: Conversation) -> None:
    """The assistant reads no more of what was said so far."""
    _as(seat)
    with transaction.atomic():
        sessions.start_afresh(conversation.pk, seat.business.pk, seat.actor)


def reply(
    seat: Seat,
    conversation: Conversation,
    text: str,
    *,
    enclosure: Enclosure | None = None,
    reply_to: str = "",
    key: str | None = None,
    known_epoch: int | None = None,
) -> int:
    """Write to the customer; see :func:`replying.reply`. With its words, what was begun to be written is forgotten."""
    _as(seat)
    with replying.keeping(conversation, enclosure) as enclosed, transaction.atomic():
        message_id = replying.reply(
            conversation,
            seat.member,
            text,
            enclosure=enclosed,
            reply_to=reply_to,
            key=key,
            known_epoch=known_epoch,
        )
        if text.strip():  # a file that follows leaves alone what is written meanwhile
            Place.objects.filter(conversation=conversation, member=seat.member).update(draft="", typing_until=None)
    return message_id


def note(seat: Seat, conversation: Conversation, text: str) -> Note:
    """Tell colleagues something; customers never see it."""
    _as(seat)
    text = text.strip()
    if not text:
        raise BadInput(_("There is nothing to keep.\nWrite something first."))
    with transaction.atomic():
        made = Note.objects.create(
            conversation=conversation, business=seat.business, member=seat.member, text=text[:MOST_NOTE]
        )
        Place.objects.filter(conversation=conversation, member=seat.member).update(draft="", typing_until=None)
        realtime.publish("conversation", conversation.pk)
    return made


def label(seat: Seat, conversation: Conversation, wanted: Label, *, on: bool) -> None:
    """Put a label on, or take it off."""
    _as(seat)
    if wanted.business_id != seat.business.pk:
        raise NotAllowed(_("This label is of another business."))
    with transaction.atomic():
        if on:
            conversation.labels.add(wanted)
        else:
            conversation.labels.remove(wanted)
        realtime.publish("conversation", conversation.pk)


def block(seat: Seat, conversation: Conversation, *, on: bool) -> None:
    """The contact is not answered any more, by nobody; or is again."""
    _as(seat)
    with transaction.atomic():
        contact = conversation.contact
        contact.blocked_at = timezone.now() if on else None
        contact.save(update_fields=["blocked_at"])
        conversation.events.create(business=seat.business, kind="blocked" if on else "unblocked", actor=seat.actor)
        realtime.publish("conversation", conversation.pk)


def send_template(
    seat: Seat,
    conversation: Conversation,
    template: OutboundMessage,
    *,
    key: str | None = None,
    known_epoch: int | None = None,
) -> int:
    """Send an approved template; see :func:`replying.send_template`. What was begun to be written stays."""
    _as(seat)
    return replying.send_template(conversation, seat.member, template, key=key, known_epoch=known_epoch)
