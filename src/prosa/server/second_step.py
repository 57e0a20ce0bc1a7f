"""Whoever owes the code of their second step is shown nothing but the page that asks for it, in the admin as at the desk."""

from __future__ import annotations

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from prosa.desk.access import SECOND_STEP
from prosa.server.middleware import Middleware

OPEN = ("/agent/", "/language/", "/admin/logout/", "/admin/jsi18n/")
"""The desk asks by itself; the rest shows nothing of anybody."""


class SecondStepFirst(Middleware):
    """Middleware: to the second step, before any other page of a session. Without a session it costs nothing."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer, or send away."""
        asked = settings.SESSION_COOKIE_NAME in request.COOKIES and not request.path_info.startswith(OPEN)
        if iscoroutinefunction(self):
            return self._answer(request) if asked else self.get_response(request)
        if asked and request.session.get(SECOND_STEP):
            return _away(request)
        return self.get_response(request)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if await request.session.aget(SECOND_STEP):
            return _away(request)
        answer: HttpResponseBase = await self.get_response(request)
        return answer


def _away(request: HttpRequest) -> HttpResponseBase:
    return redirect_to_login(request.get_full_path(), reverse("desk:second"))
