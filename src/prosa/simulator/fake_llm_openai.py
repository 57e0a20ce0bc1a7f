"""The wire of OpenAI: Chat Completions, Responses, embeddings, models.

Shapes as the official SDK's types declare them (``openai.types``); the SDK is run against this in tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator.fake_llm_script import Call, Prompt

DIMENSIONS = 1536


def chat_prompt(body: Json) -> Prompt:
    """The prompt of a Chat Completions request.

    :raises BadInput: ``messages`` is not a list of messages.
    """
    return _prompt(body.get("messages"), "messages")


def responses_prompt(body: Json) -> Prompt:
    """The prompt of a Responses request.

    :raises BadInput: ``input`` is neither text nor a list.
    """
    given = body.get("input")
    asked = _prompt([{"role": "user", "content": given}] if isinstance(given, str) else given, "input")
    told = body.get("instructions")
    return Prompt(
        "\n".join(part for part in (told if isinstance(told, str) else "", asked.system) if part),
        asked.turns,
        asked.files,
    )


def error(status: int, message: str) -> Json:
    """An error as OpenAI words it."""
    kind = {401: "invalid_request_error", 429: "rate_limit_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def tools(body: Json) -> list[str]:
    """The names of the functions a request allows (Chat Completions nests them, Responses does not)."""
    given = body.get("tools") if body.get("tool_choice") != "none" else None
    offered = [tool for tool in given if isinstance(tool, dict)] if isinstance(given, list) else []
    named: list[Json] = [tool["function"] if isinstance(tool.get("function"), dict) else tool for tool in offered]
    return [str(tool["name"]) for tool in named if "name" in tool]


def completion(model: str, text: str, prompt: Prompt, number: int, *, calls: Sequence[Call] = ()) -> Json:
    """The answer of ``POST /v1/chat/completions``; ``calls`` are tools to call instead."""
    message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if calls:
        made = [
            {
                "id": f"call_{number}_{place}",
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for place, call in enumerate(calls)
        ]
        message |= {"content": None, "tool_calls": made}
    return {
        "id": f"chatcmpl-fake{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
        ],
        "usage": _chat_usage(prompt, text),
        "service_tier": "default",
        "system_fingerprint": None,
    }


async def completion_stream(body: Json, text: str, prompt: Prompt, number: int) -> AsyncIterator[bytes]:
    """The same as server-sent chunks, ended by ``[DONE]``; usage in a last chunk when it was asked for."""
    head = {
        "id": f"chatcmpl-fake{number}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": body.get("model"),
    }

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return _data(head | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(text):
        yield chunk({"content": piece})
    yield chunk({}, "stop")
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield _data(head | {"choices": [], "usage": _chat_usage(prompt, text)})
    yield b"data: [DONE]\n\n"


def response(
    model: str, text: str, prompt: Prompt, number: int, *, status: str = "completed", calls: Sequence[Call] = ()
) -> Json:
    """The answer of ``POST /v1/responses``; ``calls`` are tools to call instead."""
    spent = len(text) // 4 + 1
    done = status == "completed"
    return {
        "id": f"resp_fake{number}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": model,
        "output": ([_call(call, f"{number}_{place}") for place, call in enumerate(calls)] or [_output(text, number)])
        if done
        else [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": prompt.size,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": spent,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt.size + spent,
        }
        if done
        else None,
    }


async def response_stream(model: str, text: str, prompt: Prompt, number: int) -> AsyncIterator[bytes]:
    """The same as the Responses API's events."""
    place = {"item_id": f"msg_fake{number}", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = _output(text, number)
    events: list[Json] = [
        {"type": "response.created", "response": response(model, "", prompt, number, status="in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces(text)),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part | {"text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response(model, text, prompt, number)},
    ]
    for sequence, event in enumerate(events):
        yield f"event: {event['type']}\n".encode() + _data(event | {"sequence_number": sequence})


def embeddings(body: Json) -> Json:
    """The answer of ``POST /v1/embeddings``: hashed bags of words, so that like texts are near each other.

    :raises BadInput: ``input`` or ``dimensions`` is not what the API takes.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadInput("'input' must be a string or a list of strings.")
    size = body.get("dimensions", DIMENSIONS)
    if not isinstance(size, int) or not 1 <= size <= 4096:
        raise BadInput("'dimensions' must lie between 1 and 4096.")
    packed = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector: Any = embed(text, size)
        if packed:
            vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    spent = sum(len(text) // 4 + 1 for text in texts)
    return {
        "object": "list",
        "data": data,
        "model": body.get("model"),
        "usage": {"prompt_tokens": spent, "total_tokens": spent},
    }


def models(names: list[str]) -> Json:
    """The answer of ``GET /v1/models``."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 1700000000, "owned_by": "prosa"} for name in names],
    }


def embed(text: str, size: int) -> list[float]:
    """A unit vector of the words of a text."""
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        vector[seed % size] += 1.0 if seed >> 63 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def pieces(text: str) -> Iterator[str]:
    """A text in the pieces a model would stream it in."""
    yield from re.findall(r"\s*\S+|\s+$", text)


def _prompt(messages: Any, field: str) -> Prompt:
    if not isinstance(messages, list):
        raise BadInput(f"'{field}' must be a list of messages.")
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    files: list[tuple[str, int]] = []
    for message in messages:
        if not isinstance(message, dict):
            raise BadInput(f"Every item of '{field}' must be an object.")
        files += _files(message.get("content"))
        text = _text(message.get("content"))
        role = message.get("role")
        if role in {"system", "developer"}:
            system.append(text)
        elif message.get("type") == "function_call_output":
            turns.append(("tool", _text(message.get("output"))))
        elif role in {"user", "assistant", "tool"}:
            turns.append((role, text))
    return Prompt("\n".join(system), tuple(turns), tuple(files))


def _files(content: Any) -> list[tuple[str, int]]:
    """Pictures (``image_url``, ``input_image``) and documents (``file``, ``input_file``) of a message, all as data URIs.

    :raises BadInput: one is no data URI, is not base64, or is no file a model takes.
    """
    found: list[tuple[str, int]] = []
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in {"image_url", "input_image"}:
            given = part.get("image_url")
            given = given.get("url") if isinstance(given, dict) else given
        elif kind in {"file", "input_file"}:
            inner = part.get("file") if kind == "file" else part
            given = inner.get("file_data") if isinstance(inner, dict) else None
            if not isinstance(inner, dict) or not inner.get("filename"):
                raise BadInput("Missing required parameter: 'file.filename'.")
        else:
            continue
        uri = (
            re.fullmatch(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", given or "", re.DOTALL)
            if isinstance(given, str)
            else None
        )
        wanted = ("image/",) if kind in {"image_url", "input_image"} else ("application/pdf",)
        if uri is None or not uri[1].startswith(wanted):
            raise BadInput("Invalid image or file: expected a base64-encoded data URL.")
        try:
            found.append((uri[1], len(base64.b64decode(uri[2], validate=True))))
        except ValueError:
            raise BadInput("Invalid base64 of an image or file.") from None
    return found


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (str(part.get("text", "")) for part in content if isinstance(part, dict))
        return "\n".join(filter(None, texts))
    return ""


def _output(text: str, number: int) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "id": f"msg_fake{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _call(call: Call, number: str) -> Json:
    called = {"name": call.name, "arguments": _arguments(call), "call_id": f"call_{number}", "id": f"fc_{number}"}
    return called | {"type": "function_call", "status": "completed"}


def _arguments(call: Call) -> str:
    given = call.arguments
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _chat_usage(prompt: Prompt, text: str) -> Json:
    spent = len(text) // 4 + 1
    return {
        "prompt_tokens": prompt.size,
        "completion_tokens": spent,
        "total_tokens": prompt.size + spent,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _data(event: Json) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
