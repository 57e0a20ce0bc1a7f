"""A message that failed, or may not have arrived, sent once more by a person."""

from __future__ import annotations

import contextlib

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa.business.people import Role
from prosa.contracts import OutboundMessage
from prosa.conversations.models import Attachment, Conversation, Message
from prosa.conversations.ownership import Overtaken
from prosa.conversations.replying import Enclosure
from prosa.desk import actions
from prosa.desk.access import Seat, desk
from prosa.desk.writing import epoch_of, overtaken, problem
from prosa.errors import BadInput, NotAllowed, ProsaError

UNSURE = ("failed", "unconfirmed")


def send_again(seat: Seat, conversation: Conversation, message: Message, known_epoch: int | None) -> int:
    """Send what ``message`` held, as this person. Returns the new message's id.

    :raises NotAllowed: it was sent again already, or arrived after all.
    :raises BadInput: its file is not kept.
    """
    key = f"again:{message.pk}"
    if message.status not in UNSURE:
        raise NotAllowed(_("It has arrived meanwhile."))
    if Message.objects.filter(conversation=conversation, key=key).exists():
        raise NotAllowed(_("It was sent again already.\nLook further down."))
    if message.kind == "template":
        template = OutboundMessage("template", message.text, payload=message.payload or {})
        return actions.send_template(seat, conversation, template, key=key, known_epoch=known_epoch)
    file = message.attachments.first()
    text = "" if file is not None and file.voice else message.text
    with contextlib.ExitStack() as opened:
        enclosed = None
        if file is not None:
            enclosed = _enclosed(file)
            opened.callback(file.file.close)
        return actions.reply(
            seat, conversation, text, enclosure=enclosed, reply_to=message.reply_to, key=key, known_epoch=known_epoch
        )


def _enclosed(file: Attachment) -> Enclosure:
    if file.status != "stored" or not file.file:
        raise BadInput(_("The file is not kept here any more.\nAttach it again."))
    return Enclosure(
        file.filename or "file", file.file.open("rb"), file.size or file.file.size, file.mime_type, file.voice
    )


@require_POST
@desk(Role.AGENT)
def again(request: HttpRequest, seat: Seat, conversation_id: int, message_id: int) -> HttpResponse:
    """Send message ``message_id`` once more."""
    conversation = seat.conversation(conversation_id)
    message = conversation.messages.filter(pk=message_id, direction="out").first()
    if message is None:
        raise Http404
    try:
        send_again(seat, conversation, message, epoch_of(request))
    except Overtaken as error:
        return overtaken(request, seat, error)
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)
