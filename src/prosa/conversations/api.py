"""The REST API: a program writes as a customer and reads the answer where it asked. See docs/reference/api.md.

``POST /api/v1/messages`` and its alias ``POST /seller/bot/``. Bodies are read here and not by ninja, so that size, depth
and types are judged before anything is built from them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Annotated, Any, Literal

import orjson
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.urls import URLPattern, URLResolver, reverse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, model_validator
from pydantic import ValidationError as Invalid

from prosa import conf
from prosa.contracts import Json
from prosa.conversations import asking, keys
from prosa.conversations.asking import Answer, Asked
from prosa.conversations.entrance import Entrance, entrance
from prosa.conversations.keys import Caller
from prosa.conversations.problems import CONTENT_TYPE, Problem
from prosa.conversations.receiver import Unavailable
from prosa.conversations.trace import Trace
from prosa.errors import NotAllowed, SlowDown

MAX_BODY = conf.MEGABYTE
MAX_TEXT = 20_000
MAX_USER_ID = 150
MAX_KEY = 255
LONGEST_WAIT_S = 60
ASK_AGAIN_S = 1
_WAIT = re.compile(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)
_NAME = r"^[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"


Text = Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]


def _whole(value: Any) -> Any:
    """``42.0`` is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _writes(name: str) -> Json:
    return {"required": [name], "properties": {name: {"type": "string"}}}


class Question(BaseModel):
    """A customer's message. ``text`` (or its older name ``msg``) is what they wrote, ``user_id`` who they are to you."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_writes("text"), _writes("msg")]})

    user_id: (
        Annotated[StrictStr, Field(min_length=1, max_length=MAX_USER_ID, pattern=_NAME)]
        | Annotated[StrictInt, Field(ge=0, lt=2**63), BeforeValidator(_whole)]
    ) = Field(description="Your own id of the customer, without control characters or spaces around it.")
    text: Text | None = None
    msg: Text | None = Field(None, description="The same as text, which wins when both are there.")
    inbox: Annotated[StrictStr, Field(max_length=50)] | None = Field(
        None, description="The short name of the key's inbox, to be sure of it."
    )
    attachments: Annotated[list[Any], Field(max_length=0)] | None = Field(
        None, description="Files cannot be taken yet: leave it out or empty."
    )

    @model_validator(mode="after")
    def _written(self) -> Question:
        if self.text is None and self.msg is None:
            raise ValueError("text is missing")
        return self


class ReplyOut(BaseModel):
    """One bubble. Kinds with more than text carry it beside, e.g. ``options`` of ``buttons``."""

    model_config = ConfigDict(extra="allow")

    id: int
    author: str = Field(description="bot, system (a notice), agent or owner_phone (a person).")
    kind: str
    text: str = Field(description="Markdown.")


class AnswerOut(BaseModel):
    """What became of a message."""

    conversation_id: int
    message_id: int
    status: Literal["answered", "waiting", "with_agent"] = Field(
        description="answered: replies is all there is; waiting: for the assistant (202) or for a person (200); with_agent: a person has it."
    )
    replies: list[ReplyOut]
    response: str = Field(description="The replies' texts, joined by an empty line.")
    turn_id: int | None = Field(description="The turn that answered; shared by all messages of one burst.")
    poll: str | None = Field(description="Where to ask again, while it is not answered.")


class ProblemOut(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened, and the next move.")
    errors: list[dict[str, Any]] | None = Field(None, description="Which fields are wrong: loc and msg each.")


class _Api(NinjaAPI):
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


def _make(namespace: str, **arguments: Any) -> _Api:
    made = _Api(title="Prosa", version="1", urls_namespace=namespace, docs_url=None, **arguments)

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
        return _nothing().response()

    @made.exception_handler(HttpError)
    def other(_request: HttpRequest, error: HttpError) -> HttpResponse:
        return Problem(error.status_code, str(error)).response()

    return made


QUESTION = {
    "parameters": [
        {
            "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": MAX_KEY},
            "description": "Any text that is new for each message. Sent again with the same key, a message is not stored twice: its answer is.",
        },
        {
            "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"},
            "description": f"wait=N: seconds to wait for the answer, at most {LONGEST_WAIT_S}; wait=0 to come back for it.",
        },
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": Question.model_json_schema()}}},
    "security": [{"bearer": []}, {"key": []}],
}  # fmt: skip
LOOK = {"parameters": QUESTION["parameters"][1:], "security": QUESTION["security"]}  # type: ignore[index]
REFUSALS: dict[int, Any] = dict.fromkeys((401, 403, 404, 429, 503), ProblemOut)
OUTCOMES: dict[int, Any] = {200: AnswerOut, 202: AnswerOut} | REFUSALS
ASKED: dict[int, Any] = OUTCOMES | dict.fromkeys((400, 408, 409, 413, 415, 422), ProblemOut)

api = _make("prosa_api", description="Write to the assistant as a customer and read its answer.")
seller = _make("prosa_seller", openapi_url=None)


@api.post(
    "/messages",
    response=ASKED,
    openapi_extra=QUESTION,
    operation_id="ask",
    summary="Write a message and wait for its answer",
)
@api.post("/messages/", response=ASKED, include_in_schema=False)
async def ask(request: HttpRequest) -> HttpResponse:
    """200 with the answer, 202 when it takes longer: ask again at ``poll``. Messages of one burst share one answer."""
    door = await entrance()
    return await _ask(request, door, await keys.caller(door, keys.presented(request)), "prosa_api:message")


@api.get(
    "/messages/{int:message_id}",
    response=OUTCOMES | {422: ProblemOut},
    openapi_extra=LOOK,
    operation_id="look",
    summary="Ask for an answer again",
    url_name="message",
)
async def look(request: HttpRequest, message_id: int) -> HttpResponse:
    """The same shape; with ``Prefer: wait=N`` it waits for the answer."""
    door = await entrance()
    return await _look(request, door, await keys.caller(door, keys.presented(request)), message_id, "prosa_api:message")


@api.get(
    "/turns/{int:turn_id}",
    response={200: Trace} | REFUSALS,
    openapi_extra={"security": QUESTION["security"]},
    operation_id="explain",
    summary="Why a reply is what it is",
)
async def explain(request: HttpRequest, turn_id: int) -> HttpResponse:
    """The trace of a turn, by the ``turn_id`` of an answer."""
    door = await entrance()
    who = await keys.caller(door, keys.presented(request))
    keys.pace(who)
    found = await asking.explain(door, who.inbox, turn_id) if turn_id < 2**63 else None
    if found is None:
        raise Problem(404, "This key's inbox has no such turn.")
    response = HttpResponse(found.model_dump_json(), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


@seller.post("/bot", response=ASKED)
@seller.post("/bot/", response=ASKED)
async def seller_ask(request: HttpRequest) -> HttpResponse:
    """The alias; without a key on a developer's own machine."""
    door = await entrance()
    return await _ask(request, door, await _seller(request, door), "prosa_seller:message")


@seller.get("/bot/{int:message_id}", response=OUTCOMES, url_name="message")
async def seller_look(request: HttpRequest, message_id: int) -> HttpResponse:
    """Where the alias's ``poll`` leads."""
    door = await entrance()
    return await _look(request, door, await _seller(request, door), message_id, "prosa_seller:message")


@csrf_exempt
async def nothing_here(_request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Any other address below ``/api/v1/``."""
    return _nothing().response()


def _nothing() -> Problem:
    return Problem(404, "There is nothing at this address.", "The addresses are in /api/v1/openapi.json.")


async def _seller(request: HttpRequest, door: Entrance) -> Caller:
    key = keys.presented(request)
    return await keys.caller(door, key) if key else keys.neighbour(request, door)


async def _ask(request: HttpRequest, door: Entrance, who: Caller, message_url: str) -> HttpResponse:
    keys.pace(who)
    body = body_of(request)
    question = _question(body)
    if question.inbox and question.inbox != who.inbox.slug:
        raise Problem(404, "This key has no such inbox.", "Leave inbox out, or use a key of that inbox.")
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > MAX_KEY:
        raise Problem(422, f"An Idempotency-Key has at most {MAX_KEY} characters.", "Take a UUID.")
    try:
        asked = await asking.ask(door, who.inbox, str(question.user_id), question.text or question.msg or "", key, body)
    except NotAllowed as error:
        raise Problem(409, str(error).replace("\n", " ")) from None
    answer = await asking.wait(door, who.inbox, asked, _patience(request, conf.settings().api_deadline))
    if answer is None:
        raise Problem(404, "The message was deleted while it was answered.")
    return _told(answer, message_url)


async def _look(request: HttpRequest, door: Entrance, who: Caller, message_id: int, message_url: str) -> HttpResponse:
    keys.pace(who)
    answer = await asking.look(door, who.inbox, message_id) if message_id < 2**63 else None
    patience = _patience(request, 0)
    if answer is not None and not answer.settled and patience:
        answer = await asking.wait(door, who.inbox, Asked(message_id, answer.conversation_id), patience)
    if answer is None:
        raise Problem(404, "This key's inbox has no such message.")
    return _told(answer, message_url)


def body_of(request: HttpRequest) -> bytes:
    """The JSON a request brought, not yet read.

    :raises Problem: another type (415), not whole (408), or larger than :data:`MAX_BODY` (413).
    """
    kind = (request.content_type or "").lower()
    if kind != "application/json":
        # Also what keeps a stranger's web page from writing to a developer's open alias: this type needs a preflight.
        raise Problem(415, "The body must be JSON.", "Send 'Content-Type: application/json'.")
    try:
        body = request.read(MAX_BODY + 1)
    except UnreadablePostError:
        raise Problem(408, "The body did not arrive whole.", "Send it again.") from None
    if len(body) > MAX_BODY:
        raise Problem(413, "A message may hold 1 MB at most.", "Send less.")
    return body


def _question(body: bytes) -> Question:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            400, f"The body is not JSON: {error.msg}.", 'Send e.g. {"user_id": "42", "text": "Hello"} in UTF-8.'
        ) from None
    if not isinstance(given, dict):
        raise invalid_fields([{"loc": [], "msg": "a JSON object is expected"}])
    try:
        return Question.model_validate(given)
    except Invalid as error:
        raise invalid_fields(
            [
                {"loc": list(each["loc"]), "msg": each["msg"].removeprefix("Value error, ")}
                for each in error.errors(include_url=False, include_input=False)
            ]
        ) from None


def invalid_fields(errors: list[Json]) -> Problem:
    """A refusal that names the wrong fields."""
    first = errors[0] if errors else {"loc": [], "msg": "is wrong"}
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return Problem(422, f"{where}: {first['msg']}.", "Correct it and send it again.", errors=errors)


def _patience(request: HttpRequest, usual: float) -> float:
    """Seconds to wait, from ``Prefer`` (RFC 7240) or as usual."""
    prefer = request.headers.get("Prefer", "")
    if found := _WAIT.search(prefer):
        return float(min(int(found[1]), LONGEST_WAIT_S))
    return 0.0 if "respond-async" in prefer.lower() else usual


def _told(answer: Answer, message_url: str) -> HttpResponse:
    poll = None if answer.status == asking.ANSWERED else reverse(message_url, kwargs={"message_id": answer.message_id})
    body = {
        "conversation_id": answer.conversation_id,
        "message_id": answer.message_id,
        "status": answer.status,
        "replies": [
            {**said.payload, "id": said.id, "author": said.author, "kind": said.kind, "text": said.text}
            for said in answer.replies
        ],
        "response": "\n\n".join(said.text for said in answer.replies if said.text),
        "turn_id": answer.turn_id,
        "poll": poll,
    }
    response = HttpResponse(orjson.dumps(body), status=200 if answer.settled else 202, content_type="application/json")
    response["Cache-Control"] = "no-store"
    if not answer.settled:
        response["Location"] = poll or ""
        response["Retry-After"] = str(ASK_AGAIN_S)
    return response
