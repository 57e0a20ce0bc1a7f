"""Doubles of an OpenAI-compatible and a Gemini server, which can misbehave on request.

``app`` is plain ASGI and finds its routes at any prefix; alone it runs by
``python -m prosa.simulator.fake_llm --port 9100`` and is then at ``http://127.0.0.1:9100/v1`` (OpenAI) and
``http://127.0.0.1:9100`` (Gemini).

Misbehaviour is asked for by words in the model's name (``stub-late-300ms``, ``stub-429``, ``stub-late-2s-drop``), in
the header ``x-fake-llm`` of a request, or from Python with ``control.next("500")``. The words:
``late-<n>ms`` and ``late-<n>s`` answer late; ``401`` ``429`` ``500`` ``503`` answer that status; ``drop`` hangs up after
accepting; ``malformed`` answers half a JSON document; ``empty`` answers nothing, ``blank`` white space, ``50k``
50,000 characters, ``think`` with a leaked thought; ``toolless`` refuses
requests that offer tools, and ``blind`` those that show pictures, as small local models do.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uvicorn

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import fake_embeddings
from prosa.simulator import fake_llm_gemini as gemini
from prosa.simulator import fake_llm_openai as openai
from prosa.simulator.fake_llm_script import Call, Prompt, calls, reply
from prosa.simulator.wire import HANG_UP, Receive, Request, Response, Scope, Send, json_response, serve

MODELS: Final = ["stub", "gpt-4o-mini", "text-embedding-3-small"]
_MISCHIEF: Final = re.compile(
    r"(?:^|-)(?:late-(?P<late>\d+)(?P<unit>ms|s)|(?P<status>401|429|500|503)|(?P<way>drop|malformed|empty|blank|50k|think|toolless|blind))(?=-|$)"
)
_GEMINI: Final = re.compile(
    r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent|embedContent|batchEmbedContents)$"
)
_SECRET_HEADERS: Final = frozenset({"authorization", "x-goog-api-key", "x-api-key"})

Error = Callable[[int, str], Json]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came: without the keys in its headers."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Control:
    """How tests and the simulator's page steer the doubles, and what they saw. One per process."""

    requests: deque[Recorded] = field(default_factory=lambda: deque(maxlen=500))
    say: Callable[[Prompt], str] = reply
    _next: deque[str] = field(default_factory=deque)
    _calls: deque[list[Call]] = field(default_factory=deque)

    def next(self, *mischief: str) -> None:
        """Let the next requests misbehave, one word (or several joined by ``-``) each; ``""`` for a good one."""
        self._next.extend(mischief)

    def call(self, *wanted: tuple[str, Json | str]) -> None:
        """Let the next request that nothing is planned for be answered by calls: (name, arguments) each; none: by words."""
        self._calls.append([Call(name, arguments) for name, arguments in wanted])

    def drawn(self, asked: Prompt, tools: list[str]) -> list[Call]:
        """What the request at hand calls: as planned, else what the double thinks right."""
        return self._calls.popleft() if self._calls else calls(asked, tools)

    def reset(self) -> None:
        """Behave again, forget everything."""
        self.requests.clear()
        self._next.clear()
        self._calls.clear()
        self.say = reply

    def draw(self) -> str:
        """The misbehaviour of the request at hand."""
        return self._next.popleft() if self._next else ""


control = Control()
_numbers = itertools.count(1)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The doubles as an ASGI app."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        await serve(scope, receive, send, _answer)


async def _answer(request: Request) -> Response:
    match = _GEMINI.search(request.path)
    error: Error = gemini.error if match else openai.error
    if request.method == "GET" and request.path.endswith("/v1/models"):
        return json_response(openai.models(MODELS))
    if request.method != "POST":
        return json_response(error(404, f"Unknown request URL: {request.method} {request.path}."), 404)
    try:
        body = request.json()
        model = match["model"] if match else body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not model or not isinstance(body, dict):
            raise BadInput("you must provide a model parameter")  # noqa: TRY301  worded below, like every bad request
        headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
        control.requests.append(Recorded(request.path, headers, body))
        mischief = "-".join((model, request.headers.get("x-fake-llm", ""), control.draw()))
        answer, say = await _misbehave(mischief, error)
        if "-toolless" in mischief and body.get("tools"):
            raise BadInput(f"{model} does not support tools")  # noqa: TRY301
        if "-blind" in mischief and b'"image_url"' in request.body:
            raise BadInput(f"{model} does not support image input")  # noqa: TRY301
        if answer is None:
            answer = _gemini(request, body, model, match["verb"], say) if match else _openai(request, body, model, say)
    except BadInput as wrong:
        return json_response(error(400, str(wrong).splitlines()[0]), 400)
    return answer


def _openai(request: Request, body: Json, model: str, say: Callable[[Prompt], str]) -> Response:
    number = next(_numbers)
    events = partial(Response, content_type="text/event-stream")
    if request.path.endswith("/chat/completions"):
        asked = openai.chat_prompt(body)
        if body.get("stream"):
            return events(chunks=openai.completion_stream(body, say(asked), asked, number))
        called = control.drawn(asked, openai.tools(body))
        return json_response(openai.completion(model, say(asked), asked, number, calls=called))
    if request.path.endswith("/responses"):
        asked = openai.responses_prompt(body)
        if body.get("stream"):
            return events(chunks=openai.response_stream(model, say(asked), asked, number))
        called = control.drawn(asked, openai.tools(body))
        return json_response(openai.response(model, say(asked), asked, number, calls=called))
    if request.path.endswith("/embeddings"):
        return json_response(fake_embeddings.openai(body))
    return json_response(openai.error(404, f"Unknown request URL: POST {request.path}."), 404)


def _gemini(request: Request, body: Json, model: str, verb: str, say: Callable[[Prompt], str]) -> Response:
    if verb in fake_embeddings.GEMINI_VERBS:
        return json_response(fake_embeddings.gemini(verb, body))
    number = next(_numbers)
    asked = gemini.prompt(body)
    if verb == "generateContent":
        called = control.drawn(asked, gemini.tools(body))
        return json_response(gemini.generated(model, say(asked), asked, number, calls=called))
    events = request.params().get("alt") == "sse"
    return Response(
        content_type="text/event-stream" if events else "application/json",
        chunks=gemini.generated_stream(model, say(asked), asked, number, events=events),
    )


async def _misbehave(words: str, error: Error) -> tuple[Response | None, Callable[[Prompt], str]]:
    """The spoilt answer that was asked for, else what to say. Lateness has passed when this returns."""
    spoilt: Response | None = None
    say = control.say
    for found in _MISCHIEF.finditer(words):
        if found["late"]:
            await asyncio.sleep(int(found["late"]) / (1000 if found["unit"] == "ms" else 1))
        elif found["status"]:
            status = int(found["status"])
            text = f"The double was told to answer {status}."
            spoilt = json_response(error(status, text), status, **({"retry_after": "1"} if status == 429 else {}))
        elif found["way"] == "drop":
            spoilt = HANG_UP
        elif found["way"] == "malformed":
            spoilt = Response(200, b'{"id": "chatcmpl-fake", "choices": [{"index": 0, "mess')
        elif found["way"] in _SPOILT:
            say = _SPOILT[found["way"]]
    return spoilt, say


_SPOILT: Final[dict[str, Callable[[Prompt], str]]] = {
    "empty": lambda _: "",
    "blank": lambda _: " \n\t ",
    "50k": lambda asked: "\n\n".join([reply(asked)] * 50_000)[:50_000].rstrip().ljust(50_000, "."),
    "think": lambda asked: f"<think>The customer asks: {asked.question}\nLet me see.</think>\n\n{reply(asked)}",
}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@contextmanager
def running(port: int = 0) -> Iterator[str]:
    """The doubles in a thread of this process, for tests: gives their address, such as ``http://127.0.0.1:41234``.

    ``control`` then steers them. Port 0 takes a free one.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, args=([listener],), name="fake-llm", daemon=True)
        thread.start()
        # The socket listens once the server runs; until then connections are refused.
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def main() -> None:
    """Run the doubles alone on loopback."""
    parser = argparse.ArgumentParser(description="Doubles of an OpenAI-compatible and a Gemini server.")
    parser.add_argument("--port", type=int, default=9100)
    arguments = parser.parse_args()
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False, backlog=4096)


if __name__ == "__main__":
    main()
