"""The copilot in the REST API: a program that people answer with asks for a suggestion, a summary or other words.

Nothing is sent and nothing stored. Imported by ``urls``, which completes ``api``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, Field, StrictStr

from prosa.agents.copilot import MOST
from prosa.conversations import copilot
from prosa.conversations.entrance import Entrance, entrance
from prosa.conversations.rest import keys
from prosa.conversations.rest.api import ASKED, QUESTION, REFUSALS, api
from prosa.conversations.rest.bodies import ProblemOut, body_of, read
from prosa.conversations.rest.keys import Caller
from prosa.conversations.rest.problems import Problem
from prosa.errors import BadInput, NotAllowed


class SourceOut(BaseModel):
    """What a suggestion stands on."""

    kind: str = Field(description="passage (of the knowledge) or approved (an approved answer).")
    title: str
    url: str


class SuggestionOut(BaseModel):
    """What could be answered to what the customer wrote last."""

    text: str = Field(description="Markdown.")
    sources: list[SourceOut]
    model: str = Field(description="Which model made it; offline: none did.")
    known: bool = Field(description="False: neither knowledge nor model had an answer.")


class SummaryOut(BaseModel):
    """What was said."""

    text: str
    model: str = Field(description="Which model wrote it; empty: it quotes the messages.")


class Draft(BaseModel):
    """A message to rewrite."""

    text: StrictStr = Field(min_length=1, max_length=MOST, pattern=r"\S")
    way: Literal["friendly", "formal", "shorter", "pt", "es", "en"] = Field(
        description="The tone, the length, or the language to translate into."
    )


class RewrittenOut(BaseModel):
    """The message in other words, with every figure as it was."""

    text: str


SECURE = {"security": QUESTION["security"]}
REFUSED: dict[int, Any] = REFUSALS | {409: ProblemOut, 422: ProblemOut}
REWRITING = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Draft.model_json_schema()}}},
    **SECURE,
}


@api.post(
    "/conversations/{int:conversation_id}/suggestion",
    response={200: SuggestionOut} | REFUSED,
    openapi_extra=SECURE,
    operation_id="suggest",
    summary="Suggest a reply to what the customer wrote last",
)
async def suggest(request: HttpRequest, conversation_id: int) -> HttpResponse:
    """Made as the assistant would answer, with tools that only read. It is not sent."""

    async def work(door: Entrance, who: Caller) -> dict[str, Any]:
        found = await copilot.suggest(door, who.inbox.business_id, conversation_id, who.inbox.id)
        sources = [{"kind": each.kind, "title": each.title, "url": each.url} for each in found.sources]
        return {"text": found.text, "sources": sources, "model": found.model, "known": found.known}

    return await _done(request, conversation_id, work)


@api.post(
    "/conversations/{int:conversation_id}/summary",
    response={200: SummaryOut} | REFUSED,
    openapi_extra=SECURE,
    operation_id="summarise",
    summary="Summarise a conversation",
)
async def summarise(request: HttpRequest, conversation_id: int) -> HttpResponse:
    """What the customer wants, what was answered, what is open."""

    async def work(door: Entrance, who: Caller) -> dict[str, Any]:
        written = await copilot.summarise(door, who.inbox.business_id, conversation_id, who.inbox.id)
        return {"text": written.text, "model": written.model}

    return await _done(request, conversation_id, work)


@api.post(
    "/conversations/{int:conversation_id}/rewrite",
    response={200: RewrittenOut} | {status: ProblemOut for status in ASKED if status >= 400},
    openapi_extra=REWRITING,
    operation_id="rewrite",
    summary="Say a message in another way",
)
async def rewrite(request: HttpRequest, conversation_id: int) -> HttpResponse:
    """409 when no model can be asked; 422 when every try changed a figure."""

    async def work(door: Entrance, who: Caller) -> dict[str, Any]:
        draft = read(Draft, body_of(request), '{"text": "Hello", "way": "formal"}')
        args = (who.inbox.business_id, conversation_id, draft.text, draft.way, who.inbox.id)
        return {"text": await copilot.rewrite(door, *args)}

    return await _done(request, conversation_id, work)


async def _done(
    request: HttpRequest, conversation_id: int, work: Callable[[Entrance, Caller], Awaitable[dict[str, Any]]]
) -> HttpResponse:
    door = await entrance()
    who = await keys.caller(door, keys.presented(request))
    keys.pace(who)
    if conversation_id >= 2**63:
        raise Problem(404, "This key's inbox has no such conversation.")
    try:
        told = await work(door, who)
    except BadInput as error:
        raise Problem(422, str(error).replace("\n", " ")) from None
    except NotAllowed as error:
        missing = str(error).startswith("There is no conversation")
        raise Problem(404 if missing else 409, str(error).replace("\n", " ")) from None
    response = HttpResponse(orjson.dumps(told), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
