"""The admin's clock: its pages show times in the owner's time zone, not the server's."""

from __future__ import annotations

from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from prosa.conversations.pages.dashboard import owners_zone
from prosa.server.middleware import Middleware


class OwnersZone(Middleware):
    """Middleware: the first active business's time zone on admin pages of whoever is signed in. One query, no other page."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer, with the zone set meanwhile."""
        wanted = request.path_info.startswith("/admin/") and settings.SESSION_COOKIE_NAME in request.COOKIES
        if iscoroutinefunction(self):
            return self._answer(request) if wanted else self.get_response(request)
        if not wanted:
            return self.get_response(request)
        with timezone.override(owners_zone()):
            return self.get_response(request)

    async def _answer(self, request: HttpRequest) -> Any:
        with timezone.override(await sync_to_async(owners_zone)()):
            return await self.get_response(request)
