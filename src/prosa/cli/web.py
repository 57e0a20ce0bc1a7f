"""``prosa web``: uvicorn in this process."""

from __future__ import annotations

import gc

import uvicorn

from prosa import conf

# A stream that a browser keeps open would hold Ctrl-C back; in production an answer of the API may take this long.
PATIENCE_DEVELOPMENT = 2
PATIENCE = 27


def serve() -> int:
    """Serve until SIGTERM or SIGINT, then finish what is under way. Returns the exit code."""
    settings = conf.settings()
    config = uvicorn.Config(
        "prosa.server.asgi:application",
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # ``server/proxies`` counts hops; uvicorn would believe whatever the client wrote.
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=PATIENCE_DEVELOPMENT if settings.development else PATIENCE,
    )
    config.load()
    # What is alive now stays alive: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1
