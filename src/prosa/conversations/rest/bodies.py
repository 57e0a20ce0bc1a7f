"""What programs send to the REST API and get from it: the shapes, and the reading of a request.

Bodies are read here and not by ninja, so that size, depth and types are judged before anything is built from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import orjson
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from prosa import conf
from prosa.contracts import Json
from prosa.conversations.rest.problems import Problem

MAX_BODY = conf.MEGABYTE
MAX_TEXT = 20_000
MAX_USER_ID = 150
MAX_KEY = 255
_NAME = r"^[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"

Shape = TypeVar("Shape", bound=BaseModel)
Text = Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]


def _whole(value: Any) -> Any:
    """``42.0`` is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


UserId = Annotated[
    Annotated[StrictStr, Field(min_length=1, max_length=MAX_USER_ID, pattern=_NAME)]
    | Annotated[StrictInt, Field(ge=0, lt=2**63), BeforeValidator(_whole)],
    Field(description="Your own id of the customer, without control characters or spaces around it."),
]
InboxName = Annotated[
    Annotated[StrictStr, Field(max_length=50)] | None,
    Field(description="The short name of the key's inbox, to be sure of it."),
]


def _writes(name: str) -> Json:
    return {"required": [name], "properties": {name: {"type": "string"}}}


class Question(BaseModel):
    """A customer's message. ``text`` (or its older name ``msg``) is what they wrote, ``user_id`` who they are to you."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_writes("text"), _writes("msg")]})

    user_id: UserId
    text: Text | None = None
    msg: Text | None = Field(None, description="The same as text, which wins when both are there.")
    signature: Annotated[StrictStr, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        None,
        description="HMAC-SHA256 of user_id with the inbox's identity secret, in hex: your site has signed them in.",
    )
    inbox: InboxName = None
    attachments: Annotated[list[Any], Field(max_length=0)] | None = Field(
        None, description="Files cannot be taken yet: leave it out or empty."
    )

    @model_validator(mode="after")
    def _written(self) -> Question:
        if self.text is None and self.msg is None:
            raise ValueError("text is missing")
        return self


class Writing(BaseModel):
    """A customer is writing just now."""

    user_id: UserId
    inbox: InboxName = None


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


def read(shape: type[Shape], body: bytes, example: str) -> Shape:
    """A JSON object as ``shape``; ``example`` is shown to who sent something else.

    :raises Problem: it is not JSON (400), or its fields are wrong (422).
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error.msg}.", f"Send e.g. {example} in UTF-8.") from None
    if not isinstance(given, dict):
        raise invalid_fields([{"loc": [], "msg": "a JSON object is expected"}])
    try:
        return shape.model_validate(given)
    except ValidationError as error:
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
