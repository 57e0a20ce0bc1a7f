"""A NinjaAPI whose every refusal is a problem (RFC 9457), also those ninja and Django would word themselves."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from prosa.conversations.receiver import Unavailable
from prosa.conversations.rest.bodies import invalid_fields
from prosa.conversations.rest.problems import CONTENT_TYPE, Problem
from prosa.errors import SlowDown


class Api(NinjaAPI):
    """Ninja, whose description says that errors are problems, and whose refusal of a method is one."""

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        """What ninja makes of the operations."""
        patterns, app, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern) and iscoroutinefunction(pattern.callback):
                pattern.callback = _of_method(pattern.callback)
        return patterns, app, namespace

    def get_openapi_schema(self, **arguments: Any) -> OpenAPISchema:
        """What ninja describes, with problems for errors and both ways to show a key."""
        schema = super().get_openapi_schema(**arguments)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if int(status) >= 400 and "application/json" in response.get("content", {}):
                        response["content"][CONTENT_TYPE] = response["content"].pop("application/json")
        schema.setdefault("components", {}).setdefault("securitySchemes", {}).update(
            {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
        )
        return schema


def _of_method(view: Callable[..., Awaitable[HttpResponse]]) -> Callable[..., Awaitable[HttpResponse]]:
    """The view, with ninja's bare text about a wrong method said as a problem."""

    @csrf_exempt  # as ninja's own views are: keys are in headers, which no other site's page can send
    async def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = await view(request, *args, **kwargs)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        allowed = ", ".join(sorted(response.headers["Allow"].split(", ")))
        return Problem(
            405, f"This address does not take {request.method}.", f"Use {allowed}.", headers={"Allow": allowed}
        ).response()

    return asked


def make(namespace: str, **arguments: Any) -> Api:
    """An API of these addresses (``namespace`` names them for ``reverse``)."""
    made = Api(title="Prosa", version="1", urls_namespace=namespace, docs_url=None, **arguments)

    @made.exception_handler(Problem)
    def problem(_request: HttpRequest, error: Problem) -> HttpResponse:
        return error.response()

    @made.exception_handler(Unavailable)
    def unavailable(_request: HttpRequest, _error: Unavailable) -> HttpResponse:
        refused = Problem(
            503,
            "The database cannot be reached.",
            "Send it again, with the same Idempotency-Key.",
            headers={"Retry-After": "5"},
        )
        return refused.response()

    @made.exception_handler(SlowDown)
    def slow_down(_request: HttpRequest, error: SlowDown) -> HttpResponse:
        seconds = str(max(1, math.ceil(error.retry_after or 1)))
        return Problem(
            429, "This key asks too often.", f"Wait {seconds} s.", headers={"Retry-After": seconds}
        ).response()

    @made.exception_handler(ValidationError)
    def invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
        return invalid_fields([{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors]).response()

    @made.exception_handler(Http404)
    def missing(_request: HttpRequest, _error: Http404) -> HttpResponse:
        return nothing().response()

    @made.exception_handler(HttpError)
    def other(_request: HttpRequest, error: HttpError) -> HttpResponse:
        return Problem(error.status_code, str(error)).response()

    return made


def nothing() -> Problem:
    """There is no such address."""
    return Problem(404, "There is nothing at this address.", "The addresses are in /api/v1/openapi.json.")
