"""The Chat Completions call over aiohttp.

pydantic-ai maps our messages to OpenAI's format and the response back; in between it calls the openai SDK, whose
walk over every message before each request costs more CPU than the rest of a turn together (measured: twice the
whole turn at 20 messages). So the SDK's method is replaced by one POST. A test holds the JSON on the wire equal to
what the SDK sends. Streams still go the SDK's way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from openai import AsyncOpenAI, NotGiven, Omit
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior

MAX_RESPONSE = 4 * 1024 * 1024
"""Bytes of a response we are willing to hold."""

_NOT_BODY = ("extra_headers", "extra_body", "extra_query", "timeout")


class Completions(AsyncCompletions):
    """``client.chat.completions`` with ``create`` on our own session. The caller sets the deadline and never retries."""

    def __init__(self, client: AsyncOpenAI, session: aiohttp.ClientSession, proxy: str | None = None) -> None:
        super().__init__(client)
        self._session = session
        self._proxy = proxy
        self._url = f"{str(client.base_url).rstrip('/')}/chat/completions"
        self._headers = {
            "Authorization": f"Bearer {client.api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    async def create(self, **fields: Any) -> Any:  # one door for the SDK's dozen overloads
        """Ask for a completion.

        :raises ModelHTTPError: the server answered 400 or above.
        :raises UnexpectedModelBehavior: it answered something that is not a JSON object, or too much of it.
        :raises aiohttp.ClientError: it could not be reached or hung up.
        """
        if fields.get("stream") is True:
            return await super().create(**fields)
        headers = self._headers | dict(fields.get("extra_headers") or {})
        body = {
            name: value
            for name, value in fields.items()
            if name not in _NOT_BODY and not isinstance(value, (Omit, NotGiven))
        }
        body.update(fields.get("extra_body") or {})
        status, content, answered = await self._send(orjson.dumps(body), headers)
        if status >= 400:
            raise ModelHTTPError(status, str(body["model"]), _json(content) or None, headers=dict(answered))
        answer = _json(content)
        if not isinstance(answer, dict):
            raise UnexpectedModelBehavior("The model's server answered something other than a JSON object.")
        return ChatCompletion.construct(**answer)

    async def _send(self, data: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of the answer.

        A server closes connections that were idle for some time (uvicorn, and so vLLM, after 5 s). A request sent into
        one that is just being closed was never read, so it is sent again, over another one.
        """
        for last in (False, False, True):
            line = Line()
            try:
                async with self._session.post(
                    self._url, data=data, headers=headers, proxy=self._proxy, trace_request_ctx=line
                ) as response:
                    line.answered = True
                    return response.status, await _read(response), response.headers
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if last or line.answered or not line.used:
                    raise
        raise AssertionError  # pragma: no cover - the last try returns or raises


@dataclass(slots=True)
class Line:
    """What a request went over. ``used``: a connection that had served others before."""

    used: bool = False
    answered: bool = False


def watched() -> aiohttp.TraceConfig:
    """For a session: tells each request whether its connection had been used."""

    async def reused(_session: aiohttp.ClientSession, context: Any, _told: object) -> None:
        if isinstance(line := context.trace_request_ctx, Line):
            line.used = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(reused)
    return config


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_RESPONSE:
            raise UnexpectedModelBehavior(f"The model's server answered more than {MAX_RESPONSE} bytes.")
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content[:500].decode("utf-8", "replace")
