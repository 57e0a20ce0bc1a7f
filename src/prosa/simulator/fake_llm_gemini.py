"""The wire of Gemini: ``generateContent`` and ``streamGenerateContent``.

Shapes as the official SDK's types declare them (``google.genai.types``); the SDK is run against this in tests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator.fake_llm_openai import pieces
from prosa.simulator.fake_llm_script import Call, Prompt

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
    turns = [turn for content in contents for turn in _turns(content)]
    files = tuple(file for content in contents for file in _files(content))
    return Prompt(_text(body.get("systemInstruction") or body.get("system_instruction")), tuple(turns), files)


def error(status: int, message: str) -> Json:
    """An error as Google words it."""
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}


def tools(body: Json) -> list[str]:
    """The names of the functions a request allows."""
    config = body.get("toolConfig")
    calling = config.get("functionCallingConfig") if isinstance(config, dict) else None
    given = body.get("tools") if not (isinstance(calling, dict) and calling.get("mode") == "NONE") else None
    lists = (
        [tool.get("functionDeclarations") for tool in given if isinstance(tool, dict)]
        if isinstance(given, list)
        else []
    )
    return [
        str(tool["name"]) for declared in lists if isinstance(declared, list) for tool in declared if "name" in tool
    ]


def generated(
    model: str, text: str, asked: Prompt, number: int, *, finish: str | None = "STOP", calls: Sequence[Call] = ()
) -> Json:
    """One answer, or one piece of a streamed answer (``finish`` None); ``calls`` are tools to call instead."""
    spent = len(text) // 4 + 1
    parts: list[Json] = [{"functionCall": {"name": call.name, "args": _arguments(call)}} for call in calls]
    candidate: Json = {"content": {"role": "model", "parts": parts or [{"text": text}]}, "index": 0}
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


def _turns(content: Json) -> list[tuple[str, str]]:
    """The turns in one content: what functions returned travels as the user's."""
    parts = content.get("parts")
    returned = [
        ("tool", _returned(part["functionResponse"].get("response")))
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and isinstance(part.get("functionResponse"), dict)
    ]
    text = _text(content)
    said = [("assistant" if content.get("role") == "model" else "user", text)] if text.strip() or not returned else []
    return [*returned, *said]


def _files(content: Json) -> list[tuple[str, int]]:
    """Pictures and documents in one content. Audio is for the double that hears.

    :raises BadInput: one is not base64.
    """
    parts = content.get("parts")
    found: list[tuple[str, int]] = []
    for part in parts if isinstance(parts, list) else ():
        given = (part.get("inlineData") or part.get("inline_data")) if isinstance(part, dict) else None
        mime = str(given.get("mimeType") or given.get("mime_type") or "") if isinstance(given, dict) else ""
        if given and not mime.startswith("audio/"):
            try:
                found.append((mime, len(base64.b64decode(str(given.get("data", "")), altchars=b"-_"))))
            except ValueError:
                raise BadInput("The inline data is not base64.") from None
    return found


def _returned(response: Any) -> str:
    """A function's result as text: the strings in it."""
    if isinstance(response, dict):
        return "\n".join(str(value) for value in response.values())
    return str(response)


def _arguments(call: Call) -> Json:
    return call.arguments if isinstance(call.arguments, dict) else {"text": call.arguments}


def _text(content: Any) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return ""
    return "\n".join(filter(None, (str(part.get("text", "")) for part in parts if isinstance(part, dict))))
