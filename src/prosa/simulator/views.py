"""The phone in the browser: its page, and what the page asks for. Only in development, only for this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from functools import wraps
from typing import Any, Final

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from prosa.conf import settings
from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import customer as customers
from prosa.simulator import guard, history, postman
from prosa.simulator.here import world
from prosa.simulator.mischief import SENDS, WEBHOOKS
from prosa.simulator.wording import words
from prosa.simulator.world import Bubble, Customer, File, Happening, Line

KEEP_ALIVE_S: Final = 15.0
SAFE_INLINE: Final = ("image/jpeg", "image/png", "image/gif", "image/webp", "audio/", "video/")
View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def here_only(view: View) -> View:
    """Nobody but this machine, in development, sees the view; bad input is answered 400 with its reason."""

    @wraps(view)
    async def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        client, host = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_HOST", "")
        if not settings().development or not guard.allows(client, host, request.headers):
            raise Http404
        try:
            return await view(request, **kwargs)
        except BadInput as error:
            return JsonResponse({"error": str(error)}, status=400)

    return guarded


@require_GET
@ensure_csrf_cookie
@never_cache
@here_only
async def phone(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "simulator/phone.html", {"words": words(), "start": {"page": await _lines()}})


@require_GET
@here_only
async def lines(_request: HttpRequest) -> HttpResponse:
    """The numbers one can write to, and a cursor for :func:`stream`."""
    world().forget_lines()
    return JsonResponse(await _lines())


@require_GET
@here_only
async def thread(request: HttpRequest) -> HttpResponse:
    """What one customer (``customer``, JSON) and one line (``line``) said."""
    line, who = await _both(request.GET.get("line", ""), request.GET.get("customer", ""))
    found = world().thread(line, who)
    await history.restore(found)
    return JsonResponse({"bubbles": [bubble.as_json() for bubble in found.bubbles.values()], "cursor": world().cursor})


@require_POST
@here_only
async def send(request: HttpRequest) -> HttpResponse:
    """The customer writes: form fields ``line``, ``customer``, ``nonce``, ``kind``, ``text``, ``reply_to``, ``answered``, ``voice``; ``file``."""
    form = request.POST
    line, who = await _both(form.get("line", ""), form.get("customer", ""))
    if line.real:
        raise BadInput(
            "This inbox is connected to its real provider: the answer would reach a stranger.\nUse a demo inbox."
        )
    kind, text, nonce = form.get("kind", "text"), form.get("text", ""), form.get("nonce", "")
    if kind not in customers.KINDS or not customers.NONCE.fullmatch(nonce) or len(text) > customers.MAX_TEXT:
        raise BadInput("The message is of no known kind, has no name, or is longer than 4096 characters.\nShorten it.")
    sent = request.FILES.get("file")
    if sent is not None and line.kind == "rest":
        raise BadInput("The API carries no files.\nWrite text, or choose another inbox.")
    if kind == "text" and not text.strip():
        raise BadInput("The message is empty.\nWrite something.")
    kept: File | None = None
    if sent is not None:
        data = await asyncio.to_thread(sent.read)
        kept = customers.keep_file(
            world(), line, mime_type=sent.content_type or "application/octet-stream", data=data, filename=sent.name or "", kind=kind,
            voice=form.get("voice") == "true",
        )  # fmt: skip
    message_id = customers.message_id(line, nonce, media=kept is not None)
    known = world().thread(line, who).bubbles.get(message_id)
    if known is not None and known.file and kept is None:  # sent again
        kept = world().files.get(known.file["id"])
    bubble = known or Bubble(
        message_id, "customer", kind, text, "sending", nonce=nonce, reply_to=form.get("reply_to", "")[:300]
    )
    answered = _object(form.get("answered", ""))
    if kind in {"button", "list"}:
        answered = {name: str(answered.get(name, ""))[:256] for name in ("id", "title", "description")}
    if kind == "location":
        bubble.place = customers.placed(answered)
    return JsonResponse(
        {"bubble": (await customers.say(world(), line, who, bubble, file=kept, answered=answered or None)).as_json()}
    )


@require_POST
@here_only
async def read(request: HttpRequest) -> HttpResponse:
    """The phone shows these messages: ``{"line", "customer", "ids"}``."""
    body = _object(request.body.decode("utf-8", "replace"))
    line, who = await _both(str(body.get("line", "")), json.dumps(body.get("customer")))
    ids = [str(each) for each in body.get("ids", []) if isinstance(each, str)][:100]
    world().spawn(postman.read(world(), world().thread(line, who), ids))
    return JsonResponse({})


@require_POST
@here_only
async def typing(request: HttpRequest) -> HttpResponse:
    """The customer is writing: ``{"line", "customer"}``. What no real provider of theirs would tell, the phone tells the desk."""
    body = _object(request.body.decode("utf-8", "replace"))
    line, who = await _both(str(body.get("line", "")), json.dumps(body.get("customer")))
    await customers.types(line, who)
    return JsonResponse({})


@here_only
async def mischief(request: HttpRequest) -> HttpResponse:
    """The rules in force; POST adds one or clears them (see ``mischief.Mischief.command``)."""
    if request.method == "POST":
        return JsonResponse({"rules": world().mischief.command(_object(request.body.decode("utf-8", "replace")))})
    return JsonResponse({"rules": [rule.as_json() for rule in world().mischief.rules], "kinds": [*SENDS, *WEBHOOKS]})


@require_GET
@here_only
async def file(_request: HttpRequest, file_id: str) -> HttpResponse:
    """A file of the world. What a browser might run is offered for saving only."""
    found = world().files.get(file_id)
    if found is None:
        raise Http404
    shown = found.mime_type.startswith(SAFE_INLINE)
    response = HttpResponse(found.data, content_type=found.mime_type if shown else "application/octet-stream")
    response["Content-Disposition"] = content_disposition_header(not shown, found.filename or found.id) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, max-age=3600"
    return response


@require_GET
@here_only
async def conversation(request: HttpRequest) -> HttpResponse:
    """On to the conversation in the admin."""
    line, who = await _both(request.GET.get("line", ""), request.GET.get("customer", ""))
    found = await history.conversation_id(line, who)
    try:
        if found is None:
            return HttpResponseRedirect(reverse("admin:prosa_conversations_conversation_changelist"))
        return HttpResponseRedirect(reverse("admin:prosa_conversations_conversation_change", args=[found]))
    except NoReverseMatch:
        raise Http404 from None


@require_GET
@here_only
async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """What happens, as server-sent events, from ``Last-Event-ID`` (or ``?after=``) on; ``reset`` when that is too long ago."""
    after = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    response = StreamingHttpResponse(_events(after), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(after: str) -> AsyncIterator[bytes]:
    here = world()
    async with here.listen() as queue:
        yield b"retry: 1000\n\n"
        missed = here.since(after)
        if missed is None:
            yield _event(here.cursor, "reset", {})
        for happening in missed or ():
            yield _happening(happening)
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    happening = await queue.get()
            except TimeoutError:
                yield b": still here\n\n"
            else:
                yield _happening(happening)


def _happening(happening: Happening) -> bytes:
    return _event(f"{world().birth}-{happening.id}", happening.name, happening.data)


def _event(identity: str, name: str, data: Json) -> bytes:
    return f"id: {identity}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def _lines() -> Json:
    hidden = ("token", "secret", "webhook_url", "signed_url", "api_url", "account")
    shown = [
        {name: value for name, value in asdict(line).items() if name not in hidden} | {"ref": line.ref}
        for line in await world().lines()
    ]
    return {"lines": shown, "cursor": world().cursor}


async def _both(ref: str, described: str) -> tuple[Line, Customer]:
    line = await world().line(ref=ref) if ref else None
    if line is None:
        raise BadInput("There is no such inbox any more.\nChoose another one.")
    return line, customers.named(_object(described))


def _object(text: str) -> Json:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise BadInput("A field is not JSON.\nReload the page.") from None
    if not isinstance(found, dict):
        raise BadInput("A field is not a JSON object.\nReload the page.")
    return found
