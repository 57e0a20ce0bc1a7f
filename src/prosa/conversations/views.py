"""The webhook door as a Django view, for host projects that do not mount the ASGI app of ``door``.

The same :func:`~prosa.conversations.door.answer` decides; Django only reads and writes the wire, and costs its share.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from prosa.contracts import WebhookRequest
from prosa.conversations import door
from prosa.conversations.entrance import entrance
from prosa.conversations.receiver import Unavailable


@csrf_exempt
async def webhook(request: HttpRequest, rest: str | None = None) -> HttpResponse:
    """Take what a provider sends. ``rest`` is the path behind ``/webhook``, if any. Works under ASGI and WSGI."""
    try:
        body = request.read(door.MAX_BODY + 1)
    except UnreadablePostError:
        return _told(door.TOO_SLOW)
    if len(body) > door.MAX_BODY:
        return _told(door.TOO_LARGE)
    query = request.META.get("QUERY_STRING", "")
    path = f"{door.PREFIX}{rest or ''}"
    asked = WebhookRequest(
        method=request.method or "",
        path=path,
        query=query.encode("latin-1", "replace"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        url=door.address(path, request.path, query, request.scheme or "http", request.headers.get("host", "")),
    )
    try:
        found = await entrance()
        return _told(await door.answer(asked, found.inboxes, found.accept))
    except Unavailable:
        return _told(door.NOT_NOW)


def _told(answer: door.Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
    response["X-Content-Type-Options"] = "nosniff"
    if answer.retry_after:
        response["Retry-After"] = str(answer.retry_after)
    return response
