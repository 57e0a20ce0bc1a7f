"""Our POST and the SDK's put the same JSON on the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from prosa.agents import completions, llm
from prosa.simulator.fake_llm import Control

PLAIN: list[ModelMessage] = [
    ModelRequest(parts=[UserPromptPart('oi 👋\n"aspas" \\ \u2028 é')]),
    ModelResponse(parts=[TextPart("Olá!")]),
    ModelRequest(parts=[UserPromptPart("tem creme?")], instructions="Seja breve.\n€"),
]
TOOLS: list[ModelMessage] = [
    ModelRequest(parts=[UserPromptPart("tem creme?")], instructions="Use as ferramentas."),
    ModelResponse(parts=[ToolCallPart("stock", {"product": "creme", "n": 2}, tool_call_id="call_1")]),
    ModelRequest(
        parts=[ToolReturnPart("stock", {"left": 3}, tool_call_id="call_1")], instructions="Use as ferramentas."
    ),
]
STOCK = ToolDefinition(
    name="stock",
    description="How many are left.",
    parameters_json_schema={"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"]},
)
SETTINGS = ModelSettings(
    temperature=0.2,
    max_tokens=300,
    top_p=0.9,
    stop_sequences=["FIM"],
    seed=7,
    parallel_tool_calls=False,
    extra_body={"top_k": 3},
)


@pytest.mark.parametrize(
    ("messages", "settings", "tools"),
    [(PLAIN, None, []), (PLAIN, SETTINGS, []), (TOOLS, SETTINGS, [STOCK])],
    ids=["plain", "settings", "tools"],
)
async def test_the_wire_is_the_sdks(
    models: Control,
    llm_address: str,
    messages: list[ModelMessage],
    settings: ModelSettings | None,
    tools: list[ToolDefinition],
) -> None:
    parameters = ModelRequestParameters(function_tools=tools)
    async with AsyncOpenAI(base_url=f"{llm_address}/v1", api_key="sk-x", max_retries=0) as client:
        theirs = OpenAIChatModel("stub", provider=OpenAICompatibleProvider("openai-compatible", openai_client=client))
        bare = await model_request(theirs, messages, model_settings=settings, model_request_parameters=parameters)
    ours = await model_request(
        llm.find("openai-chat:stub").model, messages, model_settings=settings, model_request_parameters=parameters
    )

    first, second = models.requests
    assert second.body == first.body
    assert second.path == first.path
    for header in ("content-type", "accept", "user-agent"):
        assert second.headers[header] == first.headers[header]
    assert ours.text == bare.text
    assert ours.usage == bare.usage
    assert ours.finish_reason == bare.finish_reason


async def test_the_key_is_sent(models: Control) -> None:
    seen: dict[str, Any] = {}
    session = llm._home().session

    class Spy:
        def post(self, url: str, **given: Any) -> Any:
            seen.update(given["headers"])
            return session.post(url, **given)

    model = llm.find("openai-chat:stub").model
    vars(model.client.chat.completions)["_session"] = Spy()
    await model_request(model, PLAIN)
    assert seen["Authorization"] == "Bearer sk-test-0123456789"


async def test_a_stream_still_goes_the_sdks_way(models: Control) -> None:
    model = llm.find("openai-chat:stub").model
    async with model.request_stream(PLAIN, None, ModelRequestParameters()) as stream:
        async for _ in stream:
            pass
    assert stream.get().text
    assert models.requests[-1].body["stream"] is True


@pytest.mark.parametrize(
    ("mischief", "error"),
    [("429", ModelHTTPError), ("malformed", UnexpectedModelBehavior), ("drop", aiohttp.ClientError)],
)
async def test_errors_are_what_the_docstring_says(models: Control, mischief: str, error: type[Exception]) -> None:
    models.next(mischief)
    with pytest.raises(error):
        await model_request(llm.find("openai-chat:stub").model, PLAIN)


async def test_a_connection_that_was_just_being_closed_costs_no_answer(
    models: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uvicorn does after five idle seconds: the second request meets a server that hangs up without having read it."""
    heard: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = len(set(heard)) + 1
        while head := await _head(reader):
            await reader.readexactly(int(head["content-length"]))
            heard.append(connection)
            if heard == [1, 1]:
                break
            body = b'{"id":"1","created":1,"model":"m","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"oi"}}]}'
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        monkeypatch.setattr(llm, "_address", lambda _: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        model = llm.find("openai-chat:m").model
        assert [(await model_request(model, PLAIN)).text for _ in range(2)] == ["oi", "oi"]
        assert heard == [1, 1, 2]
        await llm.close()


async def test_a_server_that_hangs_up_on_a_new_connection_is_not_asked_again(models: Control) -> None:
    models.next("drop", "drop")
    with pytest.raises(aiohttp.ClientError):
        await model_request(llm.find("openai-chat:stub").model, PLAIN)
    assert len(models.requests) == 1


async def _head(reader: asyncio.StreamReader) -> dict[str, str]:
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    except asyncio.IncompleteReadError:
        return {}
    return dict(line.split(": ", 1) for line in lines[1:] if line)


async def test_a_response_too_large_to_hold_is_refused(models: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "MAX_RESPONSE", 20_000)
    model = llm.find("openai-chat:stub").model
    models.next("50k", "")
    with pytest.raises(UnexpectedModelBehavior, match="20000 bytes"):
        await model_request(model, PLAIN)
    assert (await model_request(model, PLAIN)).text


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        ("https://api.openai.com/v1", "http://proxy.test:3128"),
        ("http://127.0.0.1:11434/v1", None),
        ("https://llm.inside.test/v1", None),
    ],
)
def test_the_environments_proxy_is_used_where_it_should_be(
    monkeypatch: pytest.MonkeyPatch, address: str, proxy: str | None
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,inside.test")
    assert llm._proxy(address) == proxy
