"""The wire of Gemini: ``generateContent`` and ``streamGenerateContent``.

Shapes as the official SDK's types declare them (``google.genai.types``); the SDK is run against this in tests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator.fake_llm_openai import pieces
from prosa.simulator.fake_llm_script import Prompt

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def prompt(body: Json) -> Prompt:
    """The prompt of a request.

    :raises BadInput: ``contents`` is not a list of contents.
    """
    contents = body.get("contents")
    if not isinstance(contents, list) or not all(isinstance(content, dict) for content in contents):
        raise BadInput("'contents' must be a list of contents.")
    turns = tuple(("assistant" if content.get("role") == "model" else "user", _text(content)) for content in contents)
    return Prompt(_text(body.get("systemInstruction") or body.get("system_instruction")), turns)


def error(status: int, message: str) -> Json:
    """An error as Google words it."""
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}


def tools(body: Json) -> list[str]:
    """The names of the functions a request offers."""
    given = body.get("tools")
    lists = (
        [tool.get("functionDeclarations") for tool in given if isinstance(tool, dict)]
        if isinstance(given, list)
        else []
    )
    return [
        str(tool["name"]) for declared in lists if isinstance(declared, list) for tool in declared if "name" in tool
    ]


def generated(
    model: str, text: str, asked: Prompt, number: int, *, finish: str | None = "STOP", call: str = ""
) -> Json:
    """One answer, or one piece of a streamed answer (``finish`` None); ``call`` names a tool to call instead."""
    spent = len(text) // 4 + 1
    part: Json = {"functionCall": {"name": call, "args": {"reason": asked.question[:200]}}} if call else {"text": text}
    candidate: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": asked.size,
            "candidatesTokenCount": spent,
            "totalTokenCount": asked.size + spent,
        },
        "modelVersion": model,
        "responseId": f"fake{number}",
    }


async def generated_stream(model: str, text: str, asked: Prompt, number: int, *, events: bool) -> AsyncIterator[bytes]:
    """The answer in pieces: server-sent events with ``alt=sse``, else one JSON array."""
    parts = list(pieces(text)) or [""]
    for index, piece in enumerate(parts):
        last = index == len(parts) - 1
        packed = json.dumps(generated(model, piece, asked, number, finish="STOP" if last else None), ensure_ascii=False)
        if events:
            yield f"data: {packed}\r\n\r\n".encode()
        else:
            yield f"{',' if index else '['}{packed}{']' if last else ''}".encode()


def _text(content: Any) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return ""
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
