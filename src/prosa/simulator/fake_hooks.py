"""A double of Slack's incoming webhooks, and a receiver of signed ones that keeps what came.

    POST /simulator/hooks/slack/…     answers as Slack does: ok, invalid_payload, invalid_blocks; below …/slack/gone no_service
    POST /simulator/hooks/signed      takes anything; GET /simulator/hooks lists it with its headers
    …?status=503                      answers that instead, to see what is done about it

Slack's answers and limits: api.slack.com/messaging/webhooks and api.slack.com/reference/block-kit/blocks.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from prosa.errors import BadInput
from prosa.simulator.wire import Request, Response, json_response

PREFIX: Final = "/simulator/hooks"
KEPT: Final = 100
MOST_BLOCKS, MOST_HEADER, MOST_SECTION = 50, 150, 3000


class Hooks:
    """What receivers of notifications were sent, the newest last."""

    def __init__(self) -> None:
        self.came: deque[Request] = deque(maxlen=KEPT)

    async def handle(self, request: Request) -> Response:
        """Answer one request below :data:`PREFIX`."""
        if request.method == "GET":
            return json_response({"came": [self._shown(each) for each in self.came]})
        if request.method != "POST":
            return json_response({"error": "Send GET or POST."}, 405)
        self.came.append(request)
        asked = request.params().get("status", "")
        if asked.isdecimal() and 300 <= int(asked) <= 599:
            return Response(int(asked), b"as you asked", "text/plain")
        if request.path.startswith(f"{PREFIX}/slack"):
            return _slack(request)
        return json_response({"ok": True})

    @staticmethod
    def _shown(request: Request) -> dict[str, Any]:
        headers = {name: value for name, value in request.headers.items() if name.startswith("x-prosa-")}
        return {"path": request.path, "headers": headers, "body": request.body.decode("utf-8", "replace")}


def _slack(request: Request) -> Response:
    if "/gone" in request.path:
        return Response(404, b"no_service", "text/plain")
    try:
        payload = request.json()
    except BadInput:
        payload = None
    if not isinstance(payload, dict) or not payload.get("text"):
        return Response(400, b"invalid_payload", "text/plain")
    blocks = payload.get("blocks", [])
    fits = isinstance(blocks, list) and len(blocks) <= MOST_BLOCKS and all(_fits(each) for each in blocks)
    return Response(200, b"ok", "text/plain") if fits else Response(400, b"invalid_blocks", "text/plain")


def _fits(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    match block.get("type"):
        case "header":
            return _text(block.get("text"), ("plain_text",), MOST_HEADER)
        case "section":
            return _text(block.get("text"), ("plain_text", "mrkdwn"), MOST_SECTION)
        case "context":
            elements = block.get("elements")
            return isinstance(elements, list) and all(_text(one, ("plain_text", "mrkdwn"), 2000) for one in elements)
        case kind:
            return kind == "divider"


def _text(text: Any, kinds: tuple[str, ...], most: int) -> bool:
    return isinstance(text, dict) and text.get("type") in kinds and 1 <= len(str(text.get("text", ""))) <= most
