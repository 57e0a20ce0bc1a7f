"""The standalone's ASGI application: the webhook door, in development the simulator's doubles, then Django."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "prosa.server.settings")
django_app = get_asgi_application()

from prosa import conf  # noqa: E402  models can be imported only now
from prosa.conversations.door import App, Door  # noqa: E402
from prosa.server.bodies import Bounded  # noqa: E402
from prosa.server.proxies import believe  # noqa: E402

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

settings = conf.settings()
# Django types its scope as a dict, which every server passes.
door = Door(Bounded(cast("App", django_app)))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI."""
    if scope["type"] == "http":
        believe(scope, settings.trusted_proxies)
    if settings.development and scope["type"] == "http" and scope["path"].startswith("/simulator/"):
        from prosa.simulator import app as simulator

        if simulator.answers(scope["path"]):
            await simulator.application(scope, receive, send)
            return
    await door(scope, receive, send)
