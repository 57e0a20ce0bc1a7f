"""Errors of the REST API as RFC 9457 ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from django.http import HttpResponse

from prosa.contracts import Json

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is refused. ``detail`` says what happened and the next move; ``errors`` name the fields."""

    def __init__(
        self,
        status: int,
        title: str,
        fix: str = "",
        *,
        errors: list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status, self.detail = status, f"{title} {fix}".strip()
        self.errors, self.headers = errors, dict(headers or {})

    def response(self) -> HttpResponse:
        """As it is sent."""
        body: Json = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors is not None:
            body["errors"] = self.errors
        return HttpResponse(orjson.dumps(body), status=self.status, content_type=CONTENT_TYPE, headers=self.headers)
