"""The REST API: a program writes as a customer and reads the answer where it asked. See docs/reference/api.md.

``POST /api/v1/messages`` and its alias ``POST /seller/bot/``; ``POST /api/v1/typing``.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from prosa import conf
from prosa.channels import signatures
from prosa.channels.providers.rest import SIGNED_WITH
from prosa.contracts import Identity, Typing
from prosa.conversations import asking, presence
from prosa.conversations.asking import Answer, Asked
from prosa.conversations.entrance import Entrance, entrance
from prosa.conversations.rest import keys, refusals
from prosa.conversations.rest.bodies import MAX_KEY, AnswerOut, ProblemOut, Question, Writing, body_of, read
from prosa.conversations.rest.keys import Caller
from prosa.conversations.rest.problems import Problem
from prosa.conversations.traces.trace import Trace
from prosa.errors import NotAllowed

EXAMPLE = '{"user_id": "42", "text": "Hello"}'
LONGEST_WAIT_S = 60
ASK_AGAIN_S = 1
_WAIT = re.compile(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)

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

api = refusals.make("prosa_api", description="Write to the assistant as a customer and read its answer.")
seller = refusals.make("prosa_seller", openapi_url=None)


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


@api.post(
    "/typing",
    response={204: None} | REFUSALS | dict.fromkeys((400, 408, 413, 415, 422), ProblemOut),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": Writing.model_json_schema()}}},
        "security": QUESTION["security"],
    },
    operation_id="typing",
    summary="Say that a customer is writing",
)
@api.post("/typing/", response={204: None}, include_in_schema=False)
async def typing(request: HttpRequest) -> HttpResponse:
    """People at the desk see it for a few seconds: send it again every four while the customer goes on. Nothing is stored."""
    door = await entrance()
    who = await keys.caller(door, keys.presented(request))
    keys.pace(who)
    writing = read(Writing, body_of(request), '{"user_id": "42"}')
    _own_inbox(who, writing.inbox)
    await presence.tell(door, who.inbox, Typing((Identity("user", str(writing.user_id)),)))
    return HttpResponse(status=204)


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
    return refusals.nothing().response()


async def _seller(request: HttpRequest, door: Entrance) -> Caller:
    key = keys.presented(request)
    return await keys.caller(door, key) if key else keys.neighbour(request, door)


async def _ask(request: HttpRequest, door: Entrance, who: Caller, message_url: str) -> HttpResponse:
    keys.pace(who)
    body = body_of(request)
    question = read(Question, body, EXAMPLE)
    _own_inbox(who, question.inbox)
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > MAX_KEY:
        raise Problem(422, f"An Idempotency-Key has at most {MAX_KEY} characters.", "Take a UUID.")
    user, signed = str(question.user_id), question.signature is not None
    if signed and not signatures.identity(who.inbox.credentials.get(SIGNED_WITH, ""), user, question.signature or ""):
        raise Problem(403, "The signature does not fit this user_id.", "Sign it with this inbox's identity secret.")
    try:
        asked = await asking.ask(door, who.inbox, user, question.text or question.msg or "", key, body, signed=signed)
    except NotAllowed as error:
        raise Problem(409, str(error).replace("\n", " ")) from None
    answer = await asking.wait(door, who.inbox, asked, _patience(request, conf.settings().api_deadline))
    if answer is None:
        raise Problem(404, "The message was deleted while it was answered.")
    return _told(answer, message_url)


def _own_inbox(who: Caller, named: str | None) -> None:
    if named and named != who.inbox.slug:
        raise Problem(404, "This key has no such inbox.", "Leave inbox out, or use a key of that inbox.")


async def _look(request: HttpRequest, door: Entrance, who: Caller, message_id: int, message_url: str) -> HttpResponse:
    keys.pace(who)
    answer = await asking.look(door, who.inbox, message_id) if message_id < 2**63 else None
    patience = _patience(request, 0)
    if answer is not None and not answer.settled and patience:
        answer = await asking.wait(door, who.inbox, Asked(message_id, answer.conversation_id), patience)
    if answer is None:
        raise Problem(404, "This key's inbox has no such message.")
    return _told(answer, message_url)


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
