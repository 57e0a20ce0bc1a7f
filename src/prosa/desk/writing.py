"""What a person writes at the desk: replies, notes, drafts. Answers are the pieces of the page that changed."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from prosa import realtime
from prosa.agents import opus
from prosa.business.people import Role
from prosa.business.users import name_of
from prosa.conversations import replying
from prosa.conversations.models import Conversation
from prosa.conversations.ownership import Overtaken
from prosa.conversations.replying import MOST_BYTES, MOST_CAPTION, Enclosure
from prosa.desk import actions
from prosa.desk.access import Seat, desk
from prosa.desk.models import Place
from prosa.errors import BadInput, ConfigurationError, PermanentError, ProsaError, TooLarge

TYPING_S = 8
"""How long somebody is said to be typing after their last key. The page says so again every four while keys come; that is not
published: whoever was shown it looks again when this is over."""
MOST_DRAFT = 10_000
MOST_KEY = 50
MOST_TYPE = 120
VOICE_TYPE: Final = "audio/ogg; codecs=opus"
"""Only with its codec is it a voice note to WhatsApp."""


@require_POST
@desk(Role.AGENT)
def reply(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Send ``text`` and ``file``. ``epoch``: what the writer had before their eyes; ``key``: of this one pressing.

    ``quote``: the message (our number) it answers to; ``voice``: the file was recorded here.
    """
    conversation = seat.conversation(conversation_id)
    upload = request.FILES.get("file")
    key = request.POST.get("key", "")[:MOST_KEY] or None
    try:
        text, epoch, quoted = request.POST.get("text", ""), epoch_of(request), _quoted(request, conversation)
        given = _enclosure(request, upload) if upload is not None else None
        with replying.keeping(conversation, given) as enclosure, transaction.atomic():
            if enclosure is not None and text.strip() and (enclosure.kind == "audio" or len(text) > MOST_CAPTION):
                # No channel writes words under a sound, and captions are short: they go before it.
                actions.reply(
                    seat, conversation, text, reply_to=quoted, key=f"{key}:text" if key else None, known_epoch=epoch
                )
                text, epoch, quoted = "", None, ""
            actions.reply(seat, conversation, text, enclosure=enclosure, reply_to=quoted, key=key, known_epoch=epoch)
    except Overtaken as error:
        return overtaken(request, seat, error)
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


def _enclosure(request: HttpRequest, upload: UploadedFile[Any]) -> Enclosure:
    """The file as it travels; what was recorded here becomes a voice note where this machine can make one."""
    # A browser says of what type a file is, anybody may say anything: then its name tells.
    said = upload.content_type or ""
    said = said if len(said) <= MOST_TYPE and said.isprintable() and said.isascii() else ""
    given = Enclosure(upload.name or "file", upload, upload.size or 0, said)
    if not request.POST.get("voice"):
        return given
    if given.size > MOST_BYTES["audio"]:
        raise TooLarge(_("The recording is too long.\nMake two of it."))
    try:
        sound = opus.recorded(upload.read())
    except ConfigurationError:  # the extra is not installed: it is sent as the file it is
        upload.seek(0)
        return given
    except TooLarge:
        raise TooLarge(_("The recording is too long.\nMake two of it.")) from None
    except PermanentError:
        raise BadInput(_("The recording holds no sound.\nRecord it again.")) from None
    return Enclosure("voice.ogg", BytesIO(sound), len(sound), VOICE_TYPE, voice=True)


def _quoted(request: HttpRequest, conversation: Conversation) -> str:
    """The provider's name of the message that is answered to; empty for none."""
    given = request.POST.get("quote", "")
    if not given.isdecimal():
        return ""
    found = conversation.messages.filter(pk=int(given[:18])).values_list("provider_id", flat=True).first()
    if not found:
        raise BadInput(_("The message you answer to cannot be quoted.\nSend yours without the quotation."))
    return found


@require_POST
@desk(Role.AGENT)
def note(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Keep ``text`` for colleagues."""
    try:
        actions.note(seat, seat.conversation(conversation_id), request.POST.get("text", ""))
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


@require_POST
@desk(Role.AGENT)
def draft(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Keep what was begun, and tell colleagues that it was. Empty text takes both back."""
    conversation = seat.conversation(conversation_id)
    text = request.POST.get("text", "")[:MOST_DRAFT]
    now = timezone.now()
    place, _made = Place.objects.get_or_create(conversation=conversation, member=seat.member)
    was = place.typing_until is not None and place.typing_until > now
    until = now + timedelta(seconds=TYPING_S) if text.strip() else None
    Place.objects.filter(pk=place.pk).update(
        draft=text, draft_note=bool(request.POST.get("note")), typing_until=until, changed_at=now, read_id=F("read_id")
    )
    if was != (until is not None) or (place.draft.strip() and until is None):
        realtime.publish("conversation", conversation.pk)
    return HttpResponse(status=204)


def epoch_of(request: HttpRequest) -> int | None:
    """What the writer had before their eyes, where the page said so."""
    given = request.POST.get("epoch", "")
    return int(given[:9]) if given.isdecimal() else None


def overtaken(request: HttpRequest, seat: Seat, error: Overtaken) -> HttpResponse:
    """Somebody was faster: who it was, and that nothing is lost."""
    who = seat.business.members.filter(pk=error.assignee or 0).select_related("user").first()
    text = (
        _("%s has this conversation now. Your text is still here.") % name_of(who)
        if who is not None and who.pk != seat.member.pk
        else _("The conversation changed hands a moment ago. Your text is still here.")
    )
    return problem(request, text, 409)


def problem(request: HttpRequest, text: str, status: int) -> HttpResponse:
    """Why something was not done, in the place where the page shows it."""
    return render(request, "desk/problem.html", {"text": text}, status=status)
