"""The Content-Security-Policy of every page."""

from __future__ import annotations

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from prosa.server.middleware import Middleware

HEADER = "Content-Security-Policy"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
ADMIN_POLICY = f"{POLICY}; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
"""django-unfold is written in Alpine.js, which evaluates attributes, and sets its colours in a style element."""


class ContentSecurityPolicy(Middleware):
    """Middleware: adds the policy unless the view has set one of its own."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer, with the header."""
        if iscoroutinefunction(self):
            return self._answer(request)
        return _marked(request, self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        return _marked(request, await self.get_response(request))


def _marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if HEADER not in response.headers:
        response.headers[HEADER] = ADMIN_POLICY if request.path_info.startswith("/admin/") else POLICY
    return response
