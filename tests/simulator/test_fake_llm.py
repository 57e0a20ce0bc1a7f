"""The official SDKs talk to the doubles over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from prosa.simulator import fake_llm
from prosa.simulator.fake_llm_script import Prompt, language, reply

SYSTEM = """You answer customers. Prazo is a rule of the house.

# Guidelines of the business
- A entrega leva até 7 dias úteis.
- Aceitamos cartão e Pix.

# Answers the business has approved
Question: Posso trocar?
Answer: A troca vale por 30 dias.

# Now
Friday"""
ASKED = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Qual o prazo de entrega?"}]
FACT = "A entrega leva até 7 dias úteis."


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with fake_llm.running() as address:
        yield address


@pytest.fixture(autouse=True)
def control() -> Iterator[fake_llm.Control]:
    fake_llm.control.reset()
    yield fake_llm.control
    fake_llm.control.reset()


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="sk-x", max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(address: str) -> Iterator[genai.Client]:
    client = genai.Client(api_key="x", http_options=genai_types.HttpOptions(base_url=address))
    yield client
    client.close()


# ── OpenAI ────────────────────────────────────────────────────────────────────────────────────────


def test_chat_completions(client: openai.OpenAI, control: fake_llm.Control) -> None:
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}
    done = client.chat.completions.create(model="stub", messages=ASKED, tools=[tool])
    assert FACT in done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 2
    openai.types.chat.ChatCompletion.model_validate(done.model_dump(warnings="error"))
    (request,) = control.requests
    assert request.path == "/v1/chat/completions"
    assert request.body["tools"] == [tool]
    assert "authorization" not in request.headers


async def test_chat_completions_async_and_streamed(address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-x") as client:
        whole = await client.chat.completions.create(model="stub", messages=ASKED)
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="stub", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        ]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage == whole.usage
    assert len(chunks) > 5


def test_responses(client: openai.OpenAI) -> None:
    done = client.responses.create(model="stub", instructions=SYSTEM, input="Qual o prazo de entrega?")
    assert FACT in done.output_text
    assert done.status == "completed"
    openai.types.responses.Response.model_validate(done.model_dump(warnings="error"))
    as_list = client.responses.create(
        model="stub",
        instructions=SYSTEM,
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Qual o prazo de entrega?"}]}],
    )
    assert as_list.output_text == done.output_text


async def test_responses_async_and_streamed(address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-x") as client:
        stream = await client.responses.create(
            model="stub", instructions=SYSTEM, input="prazo de entrega?", stream=True
        )
        events = [event async for event in stream]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert FACT in text
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_embeddings_bring_like_texts_near(client: openai.OpenAI) -> None:
    done = client.embeddings.create(
        model="stub", input=["creme facial", "creme facial azul", "entrega"], dimensions=256
    )
    first, near, far = (item.embedding for item in done.data)
    assert len(first) == 256
    assert sum(x * y for x, y in zip(first, near, strict=True)) > sum(x * y for x, y in zip(first, far, strict=True))
    floats = client.embeddings.create(model="stub", input="creme facial", dimensions=256, encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)
    assert len(client.embeddings.create(model="stub", input="x").data[0].embedding) == 1536


def test_models(client: openai.OpenAI) -> None:
    assert "stub" in [model.id for model in client.models.list()]


@pytest.mark.parametrize(
    ("mischief", "error"),
    [
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("drop", openai.APIConnectionError),
        ("malformed", ValueError),
    ],
)
def test_openai_misbehaves_on_request(
    client: openai.OpenAI, control: fake_llm.Control, mischief: str, error: type[Exception]
) -> None:
    def ask(model: str, **headers: str) -> object:
        return client.chat.completions.create(model=model, messages=ASKED, extra_headers=headers)

    with pytest.raises(error):
        ask(f"stub-{mischief}")
    with pytest.raises(error):
        ask("stub", **{"x-fake-llm": mischief})
    control.next(mischief, "")
    with pytest.raises(error):
        ask("stub")
    ask("stub")
    assert len(control.requests) == 4, "accepted, then failed"


def test_lateness(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).chat.completions.create(model="stub-late-20s", messages=ASKED)
    assert client.chat.completions.create(model="stub-late-1ms", messages=ASKED).choices


@pytest.mark.parametrize(("mischief", "size"), [("empty", 0), ("50k", 50_000)])
def test_odd_answers(client: openai.OpenAI, mischief: str, size: int) -> None:
    done = client.chat.completions.create(model=f"stub-{mischief}", messages=ASKED)
    assert len(done.choices[0].message.content) == size


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b"{}", 400),
        ("/v1/chat/completions", b'{"model": "stub", "messages": 7}', 400),
        ("/v1/chat/completions", b'{"model": "stub", "messages": [7]}', 400),
        ("/v1/chat/completions", b'{"model": ["stub"], "messages": []}', 400),
        ("/v1/chat/completions", b"[" * 100_000, 400),
        ("/v1/embeddings", b'{"model": "stub", "input": []}', 400),
        ("/v1/embeddings", b'{"model": "stub", "input": "x", "dimensions": 1e9}', 400),
        ("/v1/responses", b'{"model": "stub"}', 400),
        ("/v1/nothing", b'{"model": "stub"}', 404),
        ("/v1beta/models/x:generateContent", b'{"contents": "x"}', 400),
        ("/v1beta/models/x:generateContent", b"\xff", 400),
    ],
)
def test_bad_requests_are_refused_as_the_real_ones_do(address: str, path: str, body: bytes, status: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("POST", path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    error = json.loads(response.read())["error"]
    connection.close()
    assert response.status == status
    assert error["message"]


def test_at_any_prefix(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/simulator/openai/v1", api_key="x", max_retries=0) as client:
        assert client.chat.completions.create(model="stub", messages=ASKED).choices


# ── Gemini ────────────────────────────────────────────────────────────────────────────────────────

CONFIG = genai_types.GenerateContentConfig(system_instruction=SYSTEM)
CONTENTS = [
    genai_types.Content(role="user", parts=[genai_types.Part(text="Oi")]),
    genai_types.Content(role="model", parts=[genai_types.Part(text="Olá!")]),
    genai_types.Content(role="user", parts=[genai_types.Part(text="Qual o prazo de entrega?")]),
]


def test_generate_content(gemini: genai.Client) -> None:
    done = gemini.models.generate_content(model="gemini-2.5-flash", contents=CONTENTS, config=CONFIG)
    assert FACT in done.text
    assert not done.text.startswith("Olá"), "greeted before"
    assert done.candidates[0].finish_reason == genai_types.FinishReason.STOP
    assert done.usage_metadata.total_token_count > 2
    assert done.model_version == "gemini-2.5-flash"


def test_generate_content_streamed(gemini: genai.Client) -> None:
    whole = gemini.models.generate_content(model="stub", contents=CONTENTS, config=CONFIG)
    chunks = list(gemini.models.generate_content_stream(model="stub", contents=CONTENTS, config=CONFIG))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert len(chunks) > 3


# google-genai subclasses aiohttp's session, which aiohttp discourages: theirs to change.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_generate_content_async(gemini: genai.Client) -> None:
    async with gemini.aio as client:
        whole = await client.models.generate_content(model="stub", contents=CONTENTS, config=CONFIG)
        stream = await client.models.generate_content_stream(model="stub", contents=CONTENTS, config=CONFIG)
        chunks = [chunk.text async for chunk in stream]
    assert FACT in whole.text
    assert "".join(chunks) == whole.text


def test_a_stream_without_events_is_an_array(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "oi"}]}]})
    connection.request("POST", "/v1beta/models/stub:streamGenerateContent", body)
    chunks = json.loads(connection.getresponse().read())
    connection.close()
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks).startswith("Olá!")


@pytest.mark.parametrize(
    ("mischief", "code", "status"),
    [("429", 429, "RESOURCE_EXHAUSTED"), ("500", 500, "INTERNAL"), ("503", 503, "UNAVAILABLE")],
)
def test_gemini_misbehaves_on_request(gemini: genai.Client, mischief: str, code: int, status: str) -> None:
    with pytest.raises(genai_errors.APIError) as caught:
        gemini.models.generate_content(model=f"stub-{mischief}", contents=CONTENTS)
    assert (caught.value.code, caught.value.status) == (code, status)


# ── what it says ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("question", "tag", "greeting"),
    [
        ("Oi, vocês têm creme?", "pt", "Olá! Entendi"),
        ("Hola, ¿tienen crema?", "es", "¡Hola! Entendí"),
        ("Hi, do you have cream?", "en", "Hello! I understood"),
        ("👍", "pt", "Olá! Entendi"),
    ],
)
def test_speaks_the_language_of_the_question(question: str, tag: str, greeting: str) -> None:
    assert language(question) == tag
    assert reply(Prompt("", (("user", question),))).startswith(greeting)


def test_says_approved_answers_and_no_rules_of_the_house() -> None:
    assert reply(Prompt(SYSTEM, (("user", "posso trocar?"),))).endswith("A troca vale por 30 dias.")
    assert reply(Prompt(SYSTEM, (("user", "Do you have a rule of the house for customers?"),))).endswith(
        "Shall I bring in a person of the team?"
    )


def test_the_same_prompt_gets_the_same_answer_and_our_own_lines_are_not_the_customers() -> None:
    asked = Prompt(SYSTEM, (("user", "[profile name of the customer: Ana]\nPrazo de entrega?"),))
    assert reply(asked) == reply(asked)
    assert "profile name" not in reply(asked)


# ── tools ─────────────────────────────────────────────────────────────────────────────────────────

SEARCH = {"name": "search_knowledge", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}}
FOUND = "<data>\n[Frete, Prazos]\nAceitamos Pix. A entrega no interior leva 9 dias.\n</data>"
SAID = "A entrega no interior leva 9 dias. (Frete, Prazos)"


def test_openai_searches_and_answers_from_the_result(client: openai.OpenAI) -> None:
    offered = [{"type": "function", "function": SEARCH}]
    asked = client.chat.completions.create(model="stub", messages=ASKED, tools=offered).choices[0]
    assert asked.finish_reason == "tool_calls"
    (call,) = asked.message.tool_calls
    assert json.loads(call.function.arguments) == {"query": "Qual o prazo de entrega?"}
    returned = {"role": "tool", "tool_call_id": call.id, "content": FOUND}
    messages = [*ASKED, asked.message.model_dump(exclude_none=True), returned]
    done = client.chat.completions.create(model="stub", messages=messages, tools=offered)
    assert SAID in done.choices[0].message.content
    refused = client.chat.completions.create(model="stub", messages=ASKED, tools=offered, tool_choice="none")
    assert refused.choices[0].finish_reason == "stop"


def test_calls_can_be_planned(client: openai.OpenAI, control: fake_llm.Control) -> None:
    control.call(("stock", {"sku": "1"}), ("stock", "{half"))
    planned = client.chat.completions.create(model="stub", messages=ASKED).choices[0].message.tool_calls
    assert [call.function.arguments for call in planned] == ['{"sku": "1"}', "{half"]
    assert len({call.id for call in planned}) == 2


def test_gemini_searches_and_answers_from_the_result(gemini: genai.Client) -> None:
    declared = genai_types.FunctionDeclaration(name="search_knowledge", parameters_json_schema=SEARCH["parameters"])
    config = genai_types.GenerateContentConfig(
        system_instruction=SYSTEM,
        tools=[genai_types.Tool(function_declarations=[declared])],
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = gemini.models.generate_content(model="stub", contents=CONTENTS, config=config)
    (call,) = asked.function_calls
    assert call.args == {"query": "Qual o prazo de entrega?"}
    returned = genai_types.Part.from_function_response(name=call.name, response={"return_value": FOUND})
    contents = [*CONTENTS, asked.candidates[0].content, genai_types.Content(role="user", parts=[returned])]
    done = gemini.models.generate_content(model="stub", contents=contents, config=config)
    assert SAID in done.text
