"""What happens to conversations with people because time went by: the assistant has them back, or they are back from snooze."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from prosa import sql
from prosa.business.models import Business
from prosa.conversations import ownership, replying, tongue
from prosa.conversations.models import Conversation
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.conversations.words import words
from prosa.errors import NotAllowed, PermanentError
from prosa.queue import periodic

log = logging.getLogger(__name__)
queries = sql.load(__file__, "clocks.sql")


@periodic("* * * * *")
def tick() -> None:
    """Once a minute."""
    wake()
    hand_back()


def wake() -> int:
    """What was put aside is back: its time has come, or the customer wrote. How many."""
    woken = 0
    with connection.cursor() as cursor:
        cursor.execute(queries.awake.decode())
        found = cursor.fetchall()
    for pk, reason, epoch in found:
        try:
            ownership.act(pk, Wish(Move.WAKE, "system", {"reason": reason}, known_epoch=epoch))
            woken += 1
        except NotAllowed:
            log.info("Somebody moved conversation %s before the clock did", pk)
        except Exception:
            log.exception("Conversation %s could not be woken; it is tried again in a minute.", pk)
    return woken


def hand_back() -> int:
    """The assistant has back what no person answered for as long as its business says. How many."""
    back = 0
    for business in Business.objects.filter(handback_minutes__gt=0):
        patience: dict[str, Any] = {
            "business_id": business.pk,
            "patience": timedelta(minutes=business.handback_minutes),
        }
        with connection.cursor() as cursor:
            cursor.execute(queries.unanswered.decode(), patience | {"only": None})
            numbers = [row[0] for row in cursor.fetchall()]
        for pk in numbers:
            try:
                back += _hand_back(business, pk, patience)
            except Exception:  # one conversation in trouble must not keep the others
                log.exception("Conversation %s could not be given back; it is tried again in a minute.", pk)
    return back


def _hand_back(business: Business, conversation_id: int, patience: dict[str, Any]) -> bool:
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(of=("self",), no_key=True).get(pk=conversation_id)
        with connection.cursor() as cursor:  # a person may have written since
            cursor.execute(queries.unanswered.decode(), patience | {"only": conversation_id})
            if cursor.fetchone() is None:
                return False
        ownership.act(
            conversation_id,
            Wish(Move.GIVE_BACK, "system", {"reason": "no_person", "minutes": business.handback_minutes}),
        )
        if business.tell_handback and _may_be_told(conversation):
            locale = tongue.locale(conversation.language, business.locale)
            with connection.cursor() as cursor:
                cursor.execute(
                    ownership.queries.system_message.decode(),
                    {"conversation_id": conversation_id, "text": words(locale)["assistant_back"]},
                )
    return True


def _may_be_told(conversation: Conversation) -> bool:
    """May the customer be written to now?"""
    try:
        left = replying.window_left(conversation)
    except PermanentError:  # its channel's plug-in is gone: nothing leaves there
        return False
    return conversation.contact.blocked_at is None and (left is None or left > timedelta(0))
