"""Static files, served by WhiteNoise without a thread per request.

WhiteNoise's own middleware is sync only; one such link would put every async view behind it into a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # WhiteNoise has no types
    """WhiteNoise for async and sync stacks. Files are some kilobytes, so each is answered in one piece."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def add_files(self, root: Path | str, prefix: str | None = None) -> None:
        """Take a folder in; ``STATIC_ROOT`` exists only where ``collectstatic`` was run."""
        if Path(root).is_dir():
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> Any:
        """A file, or what comes next."""
        found = self.find_file(request.path_info) if self.autorefresh else self.files.get(request.path_info)
        if iscoroutinefunction(self):
            return self._answer(request, found)
        return self.get_response(request) if found is None else _whole(found, request)

    async def _answer(self, request: HttpRequest, found: Any) -> HttpResponseBase:
        if found is None:
            response: HttpResponseBase = await self.get_response(request)
            return response
        return _whole(found, request)


def _whole(found: Any, request: HttpRequest) -> HttpResponse:
    answer = found.get_response(request.method, request.META)
    body = b""
    if answer.file is not None:
        with answer.file as file:
            body = file.read()
    whole = HttpResponse(body, status=int(answer.status))
    del whole.headers["Content-Type"]
    for name, value in answer.headers:
        whole.headers[name] = value
    if int(answer.status) == HTTPStatus.OK and body:
        # WhiteNoise measured the file at the start; edited or upgraded in place it is longer now, or shorter.
        whole.headers["Content-Length"] = str(len(body))
    return whole
