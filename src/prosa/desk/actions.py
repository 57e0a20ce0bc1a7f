"""What a person may do with a conversation from the desk. One function each; all moves go through ``ownership``.

The views check that the conversation is of the person's business; here is checked what their role allows.
"""

from __future__ import annotations

from datetime import datetime

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


def _as(seat: Seat, role: Role = Role.AGENT) -> None:
    if not seat.may(role):
        raise NotAllowed(_("Your role may look, not do this.\nAsk an administrator of the business."))


def take(seat: Seat, conversation: Conversation, known_epoch: int | None) -> None:
    """It is this person's now. :raises ownership.Overtaken: somebody was faster."""
    _as(seat)
    ownership.take(conversation.pk, seat.actor, seat.member.pk, known_epoch)


def assign(seat: Seat, conversation: Conversation, member: Membership | None, team: Team | None) -> None:
    """It waits for a colleague, a team, or (neither) anybody."""
    _as(seat)
    for named in (member, team):
        if named is not None and named.business_id != seat.business.pk:
            raise NotAllowed(_("They do not work for this business."))
    if member is not None and not member.may(Role.AGENT):
        raise BadInput(_("%s cannot answer customers.\nChoose somebody else.") % member)
    if member is not None and member.pk == seat.member.pk:
        take(seat, conversation, None)
        return
    ownership.act(
        conversation.pk,
        Wish(
            Move.ASSIGN,
            seat.actor,
            {"member": str(member) if member else "", "team": str(team) if team else ""},
            assignee=member.pk if member else NOBODY,
            team=team.pk if team else NOBODY,
        ),
    )


def give_back(seat: Seat, conversation: Conversation) -> None:
    """The assistant answers again."""
    _as(seat)
    ownership.give_back(conversation.pk, seat.actor)


def resolve(seat: Seat, conversation: Conversation) -> None:
    """Done."""
    _as(seat)
    ownership.resolve(conversation.pk, seat.actor)


def reopen(seat: Seat, conversation: Conversation) -> None:
    """Take up again what was resolved."""
    _as(seat)
    ownership.act(conversation.pk, Wish(Move.REOPEN, seat.actor, assignee=seat.member.pk))


def snooze(seat: Seat, conversation: Conversation, until: datetime) -> None:
    """Put aside until a time or the customer's next message."""
    _as(seat)
    seconds = (until - timezone.now()).total_seconds()
    if seconds <= 0:
        raise BadInput(_("That time is over.\nChoose one to come."))
    # A second later rather than a moment earlier: the transaction may have begun before our clock was read.
    ownership.act(
        conversation.pk,
        Wish(Move.SNOOZE, seat.actor, {"until": until.isoformat()}, assignee=seat.member.pk, snooze=seconds + 1),
    )


def wake(seat: Seat, conversation: Conversation) -> None:
    """Back before its time."""
    _as(seat)
    ownership.act(conversation.pk, Wish(Move.WAKE, seat.actor))


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
    with transaction.atomic():
        message_id = replying.reply(
            conversation,
            seat.member,
            text,
            enclosure=enclosure,
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
