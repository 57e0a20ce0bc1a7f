"""The doubles as one ASGI application, to be mounted in front of Django in development.

``application`` answers everything below :data:`PREFIXES`; ``answers(path)`` tells which paths those are. The rest of
``/simulator/`` (the phone) is Django's: see ``urls``. Both must run in the same process and event loop.

    /simulator/graph/…       Meta's Graph API        (``fake_graph``)
    /simulator/twilio/…      Twilio                  (``fake_twilio``)
    /simulator/openai/v1/…   an OpenAI-compatible model server, /simulator/gemini/… Google's (``fake_llm``, ``fake_speech``)
    /simulator/hooks/…       receivers of notifications: Slack's and signed ones (``fake_hooks``)
    /simulator/mischief      what they shall do wrong (GET, POST, DELETE; JSON; ``mischief``)
"""

from __future__ import annotations

import logging
from typing import Final

from prosa.simulator import fake_graph, fake_hooks, fake_twilio, guard
from prosa.simulator.here import world as world_here
from prosa.simulator.mischief import SENDS, WEBHOOKS
from prosa.simulator.wire import Asgi, Receive, Request, Response, Scope, Send, json_response, serve
from prosa.simulator.world import World

PREFIXES: Final = (
    "/simulator/graph/",
    "/simulator/twilio/",
    "/simulator/openai/",
    "/simulator/gemini/",
    "/simulator/hooks",
    "/simulator/mischief",
)
log = logging.getLogger(__name__)


def answers(path: str) -> bool:
    """Is this path the doubles'?"""
    return path.startswith(PREFIXES)


def make(world: World) -> Asgi:
    """The application over a world of its own, as tests use it."""
    hooks = fake_hooks.Hooks()

    async def handle(request: Request) -> Response:
        if not guard.allows(request.client, request.headers.get("host", ""), request.headers):
            return json_response({"error": "The simulator answers only this machine."}, 404)
        try:
            if request.path.startswith(fake_graph.PREFIX):
                return await fake_graph.handle(world, request)
            if request.path.startswith(fake_twilio.PREFIX):
                return await fake_twilio.handle(world, request)
            if request.path.startswith(fake_hooks.PREFIX):
                return await hooks.handle(request)
            if request.path.rstrip("/") == "/simulator/mischief":
                return _mischief(world, request)
        except Exception:
            log.exception("A double failed")
            raise
        return json_response({"error": "The simulator has nothing at this address."}, 404)

    async def doubles(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        for name in ("openai", "gemini"):
            root = f"/simulator/{name}"
            if scope["path"].startswith(f"{root}/") and guard.allows_scope(scope):
                from prosa.simulator.fake_speech import app as models

                await models({**scope, "path": scope["path"].removeprefix(root)}, receive, send)
                return
        await serve(scope, receive, send, handle)

    return doubles


def _mischief(world: World, request: Request) -> Response:
    """Rules in force; POST one, DELETE all. A page of another site cannot: JSON needs its consent first."""
    if request.method == "GET":
        kinds = {**SENDS, **WEBHOOKS}
        return json_response({"rules": [rule.as_json() for rule in world.mischief.rules], "kinds": kinds})
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return json_response({"error": "Another site may not do this."}, 403)
    if request.method == "DELETE":
        world.mischief.clear()
        return json_response({"rules": []})
    if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/json"):
        return json_response({"error": "Send GET, DELETE or POST with application/json."}, 405)
    return json_response({"rules": world.mischief.command(request.json())})


application: Asgi = make(world_here())
