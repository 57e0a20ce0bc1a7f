"""Words and vectors together find at least what the better of them finds, and words alone serve when vectors cannot."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from asgiref.sync import async_to_sync

sys.path.insert(0, str(Path(__file__).parent))

import labelled

from prosa import cache, conf
from prosa.business.models import Business
from prosa.knowledge import embedder, embedding, filling, fusion, index, search, stores
from prosa.knowledge.analysis import fold
from prosa.postgres.connections import Pool
from prosa.simulator import fake_llm

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.pgvector]

MINILM = "local:all-minilm-l6-v2"


def run(act: Callable[[Pool], Awaitable[Any]]) -> Any:
    """``act(pool)`` in an event loop that ends as a process's does."""

    async def live() -> Any:
        try:
            async with filling.pool() as pool:
                return await act(pool)
        finally:
            await fusion.close()

    return async_to_sync(live)()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set the embedding model (and other settings) as the environment would."""
    fake_llm.control.reset()
    monkeypatch.setattr(embedding, "_memory", cache.Memory(10**8, 60))

    def change(model: str, **more: str) -> None:
        for name, value in {"PROSA_EMBEDDING_MODEL": model, **more}.items():
            monkeypatch.setenv(name, value)
        conf.settings.cache_clear()

    yield change
    monkeypatch.undo()
    conf.settings.cache_clear()
    fake_llm.control.reset()


@pytest.fixture
def shop(use: Callable[..., None]) -> Business:
    use(MINILM)
    made = Business.objects.create(name="Shop", slug="shop")
    told, *_ = labelled.read()
    entries = [index.Entry(each["id"], each["title"], (index.Piece(each["text"]),), each["lang"]) for each in told]
    index.store(made.pk, entries)
    assert run(lambda pool: filling.fill(pool, made.pk))
    return made


def qualities(business: Business, questions: list[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Mean nDCG@10 per language of words alone, vectors alone and both."""
    told, *_ = labelled.read()
    language = {each["id"]: each["lang"] for each in told}

    async def measure(pool: Pool) -> dict[str, dict[str, list[float]]]:
        gained: dict[str, dict[str, list[float]]] = {}
        store = stores.find(pool)
        embedder = embedding.find(MINILM, pool)
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT c.id, d.external_id FROM prosa_knowledge_chunk c JOIN prosa_knowledge_document d ON d.id = c.document_id"
            )
            names = dict(await cursor.fetchall())
        for text, right in questions:
            async with pool.connection() as connection:
                words = [each.document for each in await search.passages(connection, business.pk, text, 10, 0.0)]
            (vector,) = (await embedder.query(text)).vectors
            near = [names[chunk] for chunk, _ in await store.nearest(business.pk, MINILM, vector, 10)]
            both = [name for name, _ in await fusion.documents(pool, business.pk, text, 10)]
            legs = gained.setdefault(language[right], {})
            for leg, found in (("words", words), ("vectors", near), ("both", both)):
                legs.setdefault(leg, []).append(labelled.ndcg(found, right))
        return gained

    return {spoken: {leg: mean(values) for leg, values in legs.items()} for spoken, legs in run(measure).items()}


def test_both_find_at_least_what_the_better_one_finds_in_every_language(shop: Business):
    _, questions, _ = labelled.read()
    alike = labelled.hard()
    assert len(alike) >= 60
    for spoken, found in qualities(shop, questions + alike).items():
        # Of forty questions one at the second place instead of the first is a hundredth.
        assert found["both"] >= max(found["words"], found["vectors"]) - 0.01, spoken
    english = qualities(shop, alike)["en"]
    # What says the same in other words is what vectors are for.
    assert english["both"] >= english["words"] + 0.3


def test_vectors_do_not_cost_what_words_had(shop: Business):
    _, questions, strange = labelled.read()

    async def measure(pool: Pool, written: Callable[[str], str]) -> float:
        return mean(
            [
                labelled.ndcg([name for name, _ in await fusion.documents(pool, shop.pk, written(text), 10)], right)
                for text, right in questions
            ]
        )

    async def best(pool: Pool, text: str) -> float:
        found = await fusion.find(pool, shop.pk, text)
        return found[0].score if found else 0.0

    async def all_of_it(pool: Pool) -> None:
        plain = await measure(pool, str)
        assert plain >= 0.98
        assert plain - await measure(pool, labelled.spelled) <= 0.01
        assert await measure(pool, fold) == plain
        mistyped = [await measure(pool, lambda text, seed=seed: labelled.mistyped(text, seed)) for seed in range(2)]  # type: ignore[misc]
        assert plain - mean(mistyped) <= 0.02
        inside = [await best(pool, text) for text, _ in questions]
        outside = [await best(pool, text) for text in strange]
        assert labelled.auc(inside, outside) >= 0.97
        assert mean(score >= search.FLOOR for score in inside) >= 0.97
        assert mean(score < search.FLOOR for score in outside) >= 0.7

    run(all_of_it)


def test_a_passage_tells_what_found_it(shop: Business):
    async def look(pool: Pool) -> Any:
        return await fusion.passages(pool, shop.pk, "my display is cracked, how much to fix it?", 3)

    best, *_ = run(look)
    assert best.document == "en-repair"
    assert best.vector is not None
    assert best.lexical is not None
    assert 0 <= best.lexical < best.score <= 1
    assert best.score == fusion.fused(best.lexical, best.vector, fusion.serves(MINILM, "en"))


@pytest.mark.parametrize(
    ("lexical", "cosine", "spoken", "score"),
    [
        (0.5, 0.0, "en", 0.5),
        (0.5, -1.0, "en", 0.5),
        (0.0, 1.0, "en", 1.0),
        (0.5, 1.0, "pt", 0.575),
        (1.0, 1.0, "", 1.0),
    ],
)
def test_vectors_lift_and_never_lower(lexical: float, cosine: float, spoken: str, score: float):
    assert fusion.fused(lexical, cosine, fusion.serves(MINILM, spoken)) == pytest.approx(score)


def test_a_model_nobody_measured_lifts_a_little():
    assert fusion.serves("openai:something-new", "pt") == fusion.UNKNOWN


OPENAI = "openai:text-embedding-3-small"


@pytest.fixture
def remote(use: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Business]:
    """A business whose vectors come from a server."""
    with fake_llm.running() as address:
        use(OPENAI, OPENAI_API_KEY="sk-x", OPENAI_BASE_URL=f"{address}/v1")
        monkeypatch.setattr(embedder, "TRIES", 1)
        made = Business.objects.create(name="Remote", slug="remote")
        index.store(made.pk, [index.Entry("frete", "Frete", (index.Piece("O frete custa dez reais."),), "pt")])
        assert run(lambda pool: filling.fill(pool, made.pk))
        fake_llm.control.requests.clear()
        yield made


def test_what_is_mistyped_is_embedded_as_the_business_spells_it(remote: Business):
    right, wrong = found_by(remote, "Quanto custa o frete de dez reais?", "Quanto cutsa o frete de dez raeis?")
    # Both are one question to the embedder, which was asked once.
    assert right.vector == wrong.vector
    (request,) = fake_llm.control.requests
    assert request.body["input"] == ["Quanto custa o frete de dez reais?"]


# ── when vectors cannot serve ──


def found_by(business: Business, *questions: str) -> list[Any]:
    async def look(pool: Pool) -> Any:
        return [(await fusion.passages(pool, business.pk, text, 1))[0] for text in questions]

    return run(look)


@pytest.mark.parametrize("mischief", ["500", "401", "drop", "malformed"])
def test_an_embedder_that_fails_leaves_the_words(remote: Business, mischief: str):
    fake_llm.control.next(mischief)
    failed, well = found_by(remote, "quanto custa o frete?", "o frete custa quanto?")
    assert (failed.document, failed.vector, failed.score) == ("frete", None, failed.lexical)
    assert well.vector is not None


def test_an_embedder_that_is_slow_is_not_waited_for(remote: Business, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fusion, "DEADLINE", 0.01)
    fake_llm.control.next("late-300ms")

    async def look(pool: Pool) -> Any:
        (slow,) = await fusion.passages(pool, remote.pk, "quanto custa o frete?", 1)
        monkeypatch.setattr(fusion, "DEADLINE", 30.0)
        # It came in the end, and is known now.
        (known,) = await fusion.passages(pool, remote.pk, "quanto custa o frete?", 1)
        return slow, known

    slow, known = run(look)
    assert slow.vector is None
    assert known.vector is not None
    assert len(fake_llm.control.requests) == 1


def test_an_embedder_that_keeps_failing_is_left_alone(remote: Business):
    fake_llm.control.next(*["500"] * 10)
    found = found_by(remote, *(f"quanto custa o frete {number}?" for number in range(6)))
    assert [each.vector for each in found] == [None] * 6
    assert len(fake_llm.control.requests) == 3


def test_no_connection_is_held_while_the_embedder_is_asked(remote: Business, monkeypatch: pytest.MonkeyPatch):
    free: list[bool] = []
    ask = embedding.Embedder.query

    async def look(pool: Pool) -> Any:
        async def watched(self: embedding.Embedder, text: str) -> embedding.Embedded:
            # One that was given back is cleaned in the background first.
            async with asyncio.timeout(60):
                while pool.get_stats()["pool_size"] > pool.get_stats()["pool_available"]:
                    await asyncio.sleep(0.001)
            free.append(True)
            return await ask(self, text)

        monkeypatch.setattr(embedding.Embedder, "query", watched)
        return await fusion.passages(pool, remote.pk, "quanto custa o frete?", 1)

    assert run(look)[0].vector is not None
    assert free == [True]


def test_a_business_never_finds_anothers_passages_by_either_leg(use: Callable[..., None]):
    use(MINILM)
    chance = random.Random(5)  # noqa: S311 -- test data
    words = ["frete", "troca", "pix", "bolo", "garantia", "horário", "vacina", "tamanho", "cupom", "entrega"]
    owners = [Business.objects.create(name=name, slug=name) for name in ("one", "two", "three")]
    for owner in owners:
        # The same words for all, so that only the business tells them apart.
        told = [" ".join(chance.sample(words, 5)) for _ in range(12)]
        index.store(
            owner.pk, [index.Entry(f"{owner.slug}-{at}", "", (index.Piece(text),)) for at, text in enumerate(told)]
        )

    async def look(pool: Pool) -> None:
        for owner in owners:
            await filling.fill(pool, owner.pk)
        for _ in range(20):
            asked = " ".join(chance.sample(words, 3))
            for owner in owners:
                found = await fusion.passages(pool, owner.pk, asked, 100, floor=0.0)
                assert found
                assert {each.document.split("-")[0] for each in found} == {owner.slug}
                assert all(each.vector is not None for each in found)

    run(look)
