"""Texts become vectors once, in the provider's batches, through the real clients against the doubles."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator

import openai
import pytest
from google import genai
from google.genai import types as genai_types
from pydantic import SecretStr

from prosa import cache, conf
from prosa.errors import BadInput, ConfigurationError, PermanentError, SlowDown, TemporaryError
from prosa.knowledge import embedder, embedding
from prosa.simulator import fake_llm

OPENAI, GEMINI = "openai:text-embedding-3-small", "google:gemini-embedding-001"


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
async def find(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., embedding.Embedder]]:
    """Embedders that speak to the doubles, remember nothing of other tests and do not wait between tries."""
    given = conf.Settings(
        openai_api_key=SecretStr("sk-x"), openai_base_url=f"{address}/v1", gemini_api_key=SecretStr("g-x"), gemini_base_url=address
    )  # fmt: skip
    monkeypatch.setattr(embedding, "settings", lambda: given)
    monkeypatch.setattr(embedding, "_memory", cache.Memory(10**8, 60))
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def make(name: str = OPENAI) -> embedding.Embedder:
        made = embedding.find(name)
        assert made is not None
        made._sleep = sleep
        return made

    make.waits = waits
    yield make
    await embedding.close()


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


@pytest.mark.parametrize(("name", "size"), [(OPENAI, 1536), (GEMINI, 3072)])
async def test_like_texts_are_near_each_other(find, name: str, size: int):
    done = await find(name).documents(["creme facial hidratante", "hidratante facial", "pneu de caminhão"])
    near, far = (cosine(done.vectors[0], done.vectors[other]) for other in (1, 2))
    assert near > 0.7
    assert far < 0.2
    assert {len(vector) for vector in done.vectors} == {size}
    assert done.requests == 1
    assert done.tokens > 0
    assert done.estimated is (name == GEMINI)


async def test_a_text_is_paid_once_whatever_its_white_space(find, control: fake_llm.Control):
    embedder = find()
    first = await embedder.documents(["cafe\u0301  da\n manhã", "chá"])
    again = await embedder.documents(["chá", " café da manhã ", "chá", "pão"])
    assert again.vectors[:2] == first.vectors[::-1]
    assert again.vectors[2] == again.vectors[0]
    assert (again.requests, again.cached) == (1, 2)
    assert [request.body["input"] for request in control.requests] == [["chá", "café da manhã"], ["pão"]]
    third = await embedder.documents(["pão"])
    assert (third.tokens, third.requests, third.cached) == (0, 0, 1)


async def test_gemini_tells_queries_from_documents_and_openai_does_not(find, control: fake_llm.Control):
    await find(GEMINI).documents(["horário"])
    assert (await find(GEMINI).query("horário")).requests == 1
    assert [one.body["requests"][0]["taskType"] for one in control.requests] == [
        "RETRIEVAL_DOCUMENT",
        "RETRIEVAL_QUERY",
    ]
    await find().documents(["horário"])
    assert (await find().query("horário")).requests == 0


@pytest.mark.parametrize(
    ("name", "field", "texts", "sizes"),
    [(OPENAI, "input", 2100, [52, 2048]), (GEMINI, "requests", 230, [30, 100, 100])],
)
async def test_batches_are_the_providers(
    find, control: fake_llm.Control, name: str, field: str, texts: int, sizes: list[int]
):
    done = await find(name).documents([f"texto {number}" for number in range(texts)])
    assert len(done.vectors) == texts
    assert sorted(len(request.body[field]) for request in control.requests) == sizes
    single = await find(name).documents(["texto 7"])
    assert single.vectors[0] == done.vectors[7]


async def test_the_tokens_of_a_request_are_bounded_and_texts_cut(find, control: fake_llm.Control):
    await find().documents([f"{number} " + "ação " * 5000 for number in range(40)])
    assert len(control.requests) == 2
    for request in control.requests:
        sizes = [len(text.encode()) for text in request.body["input"]]
        assert max(sizes) <= embedder.MOST_BYTES
        assert sum(sizes) <= 300_000


async def test_those_who_ask_for_the_same_text_at_once_share_one_call(find, control: fake_llm.Control):
    control.next("late-100ms")
    done = await asyncio.gather(*(find().query("aberto hoje?") for _ in range(20)))
    assert len(control.requests) == 1
    assert len({one.vectors for one in done}) == 1
    assert sorted(one.requests for one in done) == [0] * 19 + [1]
    assert sum(one.tokens > 0 for one in done) == 1


async def test_a_question_does_not_stand_in_the_queue_of_documents(find, monkeypatch: pytest.MonkeyPatch):
    busy, go = find(), asyncio.Event()
    ask = busy._ask

    async def held(texts: list[str], kind: embedder.Kind):
        if kind == "document":
            await go.wait()
        return await ask(texts, kind)

    monkeypatch.setattr(busy, "_ask", held)
    waiting = [asyncio.create_task(busy.documents([f"texto {number}"])) for number in range(embedder.AT_ONCE)]
    while not busy._places.locked():
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert (await busy.query("aberto hoje?")).requests == 1
    go.set()
    assert len(await asyncio.gather(*waiting)) == embedder.AT_ONCE


async def test_who_goes_away_does_not_take_the_others_along(find, control: fake_llm.Control):
    control.next("late-200ms")
    first = asyncio.create_task(find().query("aberto hoje?"))
    while not control.requests:
        await asyncio.sleep(0.005)
    second = asyncio.create_task(find().query("aberto hoje?"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len((await second).vectors[0]) == 1536
    assert len(control.requests) == 1


@pytest.mark.parametrize("name", [OPENAI, GEMINI])
async def test_it_tries_again_when_that_can_help(find, control: fake_llm.Control, name: str):
    control.next("429", "503", "drop")
    assert (await find(name).query("oi")).requests == 1
    assert len(control.requests) == 4
    assert len(find.waits) == 3
    assert find.waits[1] < find.waits[2] * 2


@pytest.mark.parametrize(
    ("mischief", "expected", "calls"),
    [("429", SlowDown, 5), ("500", TemporaryError, 5), ("401", PermanentError, 1), ("malformed", TemporaryError, 5)],
)
async def test_failures_become_our_errors(
    find, control: fake_llm.Control, mischief: str, expected: type[Exception], calls: int
):
    control.next(*[mischief] * 5)
    with pytest.raises(expected, match="\n") as caught:
        await find().query("meu segredo")
    assert caught.type is expected
    assert len(control.requests) == calls
    assert "segredo" not in str(caught.value)
    assert "sk-x" not in str(caught.value)
    control.reset()
    assert (await find().query("meu segredo")).requests == 1  # a failure is not remembered


async def test_what_succeeded_before_a_failure_is_kept(find, control: fake_llm.Control):
    texts = [f"texto {number:04}" for number in range(150)]
    control.next("", "401")
    with pytest.raises(PermanentError):
        await find(GEMINI).documents(texts)
    control.reset()
    done = await find(GEMINI).documents(texts)
    assert done.requests == 1
    assert done.cached in (50, 100)
    assert len(done.vectors) == 150


@pytest.mark.parametrize("text", ["", "  \n ", "\x00"])
async def test_an_empty_text_is_refused_before_anyone_is_asked(find, control: fake_llm.Control, text: str):
    with pytest.raises(BadInput, match="Text 2 of 2"):
        await find().documents(["a", text])
    assert not control.requests


def test_a_cut_falls_between_characters():
    assert embedder.prepare("é" * 9000) == "é" * 4095
    assert embedder.prepare("a\ud83db") == "a?b"


async def test_names(find):
    assert embedding.find("") is None
    for wrong in ("openai:", "gpt", "cohere:x", "local:other"):
        with pytest.raises(ConfigurationError, match="\n"):
            find(wrong)


async def test_a_key_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "settings", conf.Settings)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        embedding.find(OPENAI)
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
        embedding.find(GEMINI)
    await embedding.close()


# ── the doubles, by the official clients ──


def test_the_openai_sdk(address: str):
    with openai.OpenAI(base_url=f"{address}/v1", api_key="sk-x", max_retries=0) as client:
        done = client.embeddings.create(model="text-embedding-3-small", input=["bom dia", "bom dia"], dimensions=64)
        assert done.data[0].embedding == done.data[1].embedding
        assert len(done.data[0].embedding) == 64
        assert done.usage.total_tokens > 0
        for wrong in (["a"] * 2049, ["a", ""], ["a" * 40_000]):
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model="text-embedding-3-small", input=wrong)


def test_the_genai_sdk(address: str):
    client = genai.Client(api_key="x", http_options=genai_types.HttpOptions(base_url=address))
    done = client.models.embed_content(
        model="gemini-embedding-001", contents=["bom dia", "boa noite"], config={"output_dimensionality": 64}
    )
    assert [len(one.values) for one in done.embeddings] == [64, 64]
    assert done.embeddings[0].values != done.embeddings[1].values
    with pytest.raises(genai.errors.ClientError):
        client.models.embed_content(model="gemini-embedding-001", contents=["a"] * 101)
    client.close()
