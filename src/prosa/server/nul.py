"""PostgreSQL knows no NUL character, so an address that holds one names nothing: 400 instead of an error deep down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBadRequest
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def refuse_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: refuse addresses with a NUL in path or query."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> Any:
            return _refusal(request) or await get_response(request)

        return answer_async

    def answer(request: HttpRequest) -> Any:
        return _refusal(request) or get_response(request)

    return answer


def _refusal(request: HttpRequest) -> HttpResponseBadRequest | None:
    if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return HttpResponseBadRequest(
            "An address cannot hold a NUL character.", content_type="text/plain; charset=utf-8"
        )
    return None
