"""Approved templates in the composer: chosen, filled in with a preview, and sent as the person who did it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from prosa.business.people import Role
from prosa.channels import base
from prosa.channels.models import Inbox
from prosa.contracts import Slot, Template
from prosa.contracts.templates import PLACE
from prosa.conversations.ownership import Overtaken
from prosa.desk import actions
from prosa.desk.access import Seat, desk
from prosa.desk.writing import MOST_KEY, epoch_of, overtaken, problem
from prosa.errors import BadInput, ChannelBroken, NotAllowed, ProsaError
from prosa.http import Client

FRESH_S = 600.0
"""How long a list is believed: approvals are rare, and Meta counts the calls."""
LONGEST_S = 15.0
MOST_INBOXES = 500

_known: dict[int, tuple[float, str, Sequence[Template]]] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """A slot as the form shows it."""

    slot: Slot
    label: str

    @property
    def key(self) -> str:
        """As the form sends it."""
        return self.slot.key


@dataclass(frozen=True, slots=True)
class Choice:
    """A template as the form shows it. ``pieces`` of each part: (text, "") or ("", key of a place)."""

    template: Template
    places: tuple[Place, ...]
    parts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def listed(inbox: Inbox, *, fresh: bool = False) -> Sequence[Template]:
    """The inbox's approved templates, as they were at most ten minutes ago.

    :raises prosa.errors.ProsaError: the provider could not be asked, or refuses.
    """
    mark = repr(sorted((inbox.credentials or {}).items()))
    known = _known.get(inbox.pk)
    if known is not None and not fresh and known[1] == mark and time.monotonic() - known[0] < FRESH_S:
        return known[2]
    found = _ask(inbox)
    if len(_known) >= MOST_INBOXES:
        _known.clear()
    _known[inbox.pk] = (time.monotonic(), mark, found)
    return found


def _ask(inbox: Inbox) -> Sequence[Template]:
    config = inbox.config()

    async def ask() -> Sequence[Template]:
        async with asyncio.timeout(LONGEST_S), Client() as client:
            return await base.provider(inbox.kind).templates(client, config)

    return async_to_sync(ask)()


def choice(template: Template) -> Choice:
    """With the labels of its places and its text in pieces, for the preview."""
    parts = []
    for part, text in template.parts:
        pieces = PLACE.split(text)  # text, place, text, place, text
        parts.append(
            (part, tuple((("", f"{part}.{piece}") if odd % 2 else (piece, "")) for odd, piece in enumerate(pieces)))
        )
    return Choice(template, tuple(Place(slot, _label(slot, template)) for slot in template.slots), tuple(parts))


def _label(slot: Slot, template: Template) -> str:
    part, _dot, place = slot.key.partition(".")
    match slot.kind:
        case "image":
            return _("Address of the picture (https)")
        case "video":
            return _("Address of the video (https)")
        case "document":
            return _("Address of the document (https)")
        case "coupon":
            return _("Code to copy")
    if part == "button":
        index = int(place) if place.isdecimal() else 0
        return _("End of the link of the button “%s”") % template.buttons[index]
    if part == "header":
        return _("Title: %s") % place
    return _("Text: %s") % place


@require_GET
@desk(Role.AGENT)
def choose(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """The list with its forms, as a piece of the page."""
    conversation = seat.conversation(conversation_id)
    if not base.provider(conversation.inbox.kind).has_templates:
        raise Http404
    context: dict[str, Any] = {"conversation": conversation}
    try:
        found = listed(conversation.inbox, fresh="fresh" in request.GET)
        name = (conversation.contact.name.split() or [""])[0]
        context |= {"choices": [choice(each) for each in found], "name": name}
    except (ProsaError, TimeoutError) as error:
        context["problem"] = _calm(error)
    return render(request, "desk/templates.html", context)


@require_POST
@desk(Role.AGENT)
def send(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Send ``template`` (its id) with the values of its places, each under its key."""
    conversation = seat.conversation(conversation_id)
    provider = base.provider(conversation.inbox.kind)
    if not provider.has_templates:
        raise Http404
    try:
        approved = listed(conversation.inbox)
    except (ProsaError, TimeoutError) as error:
        return problem(request, _calm(error), 503)
    found = next((each for each in approved if each.id == request.POST.get("template")), None)
    if found is None:
        return problem(request, _("This template is not approved any more.\nChoose another."), 422)
    values = {slot.key: request.POST.get(slot.key, "").strip() for slot in found.slots}
    if not all(values.values()):
        return problem(request, _("A place of the template is empty.\nFill in every one."), 422)
    try:
        message = provider.fill(found, values)
    except BadInput:
        return problem(
            request, _("A value does not fit the template.\nA file is an address that begins with https://."), 422
        )
    try:
        actions.send_template(
            seat,
            conversation,
            message,
            key=request.POST.get("key", "")[:MOST_KEY] or None,
            known_epoch=epoch_of(request),
        )
    except Overtaken as error:
        return overtaken(request, seat, error)
    except ProsaError as error:
        return problem(request, str(error), 422)
    return HttpResponse(status=204)


def _calm(error: Exception) -> str:
    if isinstance(error, ChannelBroken):
        return _("The channel refuses to show its templates.\nAn administrator tests the inbox's credentials.")
    if isinstance(error, NotAllowed):
        return _(
            "The inbox has no WhatsApp Business account ID, so its templates cannot be read.\nAn administrator enters it in the inbox's credentials."
        )
    return _("The channel cannot be asked for its templates just now.\nTry again in a moment.")
