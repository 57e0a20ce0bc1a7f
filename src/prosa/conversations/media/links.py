"""Addresses under which a provider fetches a file that we send, for an hour: nobody can guess one, and none lasts.

Only where ``PROSA_PUBLIC_URL`` says how the world reaches this server, and only for providers that fetch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from prosa.channels import base
from prosa.contracts import InboxConfig, OutboundMessage
from prosa.conversations.media import downloads
from prosa.conversations.models import Attachment

LASTS_S: Final = 3600
"""Seconds. Providers fetch within moments; a message that waits for them gets a new address with each try."""
_SALT: Final = "prosa.conversations.media.links"


def make(public_url: str, message_id: int) -> str:
    """The address of what message ``message_id`` of ours carries."""
    return f"{public_url.rstrip('/')}/files/{TimestampSigner(salt=_SALT).sign(str(message_id))}"


def addressed(inbox: InboxConfig, message_id: int, message: OutboundMessage) -> OutboundMessage:
    """The bubble, its stored file with an address where the inbox's provider fetches files."""
    file = message.attachment
    if not (message.media_path and file and inbox.public_url and base.provider(inbox.kind).fetches_files):
        return message
    return replace(message, attachment=replace(file, url=make(inbox.public_url, message_id)))


@require_safe
def shown(request: HttpRequest, token: str) -> HttpResponseBase:
    """The file, to whoever has its address in time.

    :raises Http404: the address is not ours or too old, or the file is gone.
    """
    try:
        message_id = int(TimestampSigner(salt=_SALT).unsign(token, max_age=LASTS_S))
    except (BadSignature, ValueError):
        raise Http404 from None
    found = Attachment.objects.filter(message_id=message_id, message__direction="out").order_by("id").first()
    if found is None:
        raise Http404
    return downloads.answer(request, found)
