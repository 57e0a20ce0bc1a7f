"""A careful bare ASGI app: signature on the raw bytes, orjson, one prepared INSERT per request on a pooled connection.

It stores the message once and does nothing else: no contact, no conversation, no queue.
"""

import hmac
import os

import orjson
from psycopg_pool import AsyncConnectionPool

SECRET = os.environ["PEER_SECRET"].encode()
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
}
BODY = {"type": "http.response.body", "body": b"OK"}
FORBIDDEN = {**START, "status": 403}
INSERT = (
    "INSERT INTO message (provider_id, sender, body, payload) VALUES (%s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING"
)


async def configure(connection):
    await connection.set_autocommit(True)
    connection.prepare_threshold = 1


pool = AsyncConnectionPool(os.environ["PEER_DSN"], min_size=16, max_size=16, configure=configure, open=False)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await (pool.open(wait=True) if message["type"] == "lifespan.startup" else pool.close())
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    given = next((value for name, value in scope["headers"] if name == b"x-hub-signature-256"), b"")
    if not hmac.compare_digest(b"sha256=" + hmac.new(SECRET, body, "sha256").hexdigest().encode(), given):
        await send(FORBIDDEN)
        await send(BODY)
        return
    received = orjson.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]
    async with pool.connection() as connection:
        await connection.execute(INSERT, (received["id"], received["from"], received["text"]["body"], body.decode()))
    await send(START)
    await send(BODY)
