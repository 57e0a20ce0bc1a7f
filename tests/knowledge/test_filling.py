"""Chunks get their vectors in the background, once; a new model takes over when it is whole; what is deleted is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction
from qdrant_client import AsyncQdrantClient

from prosa import cache, conf
from prosa.business.models import Business
from prosa.contracts import Passage
from prosa.costs import prices
from prosa.costs.models import Budget, ModelPrice, UsageDay
from prosa.errors import TemporaryError
from prosa.knowledge import checks, embedder, embedding, filling, fusion, index, stores
from prosa.knowledge.models import Chunk
from prosa.knowledge.stores.qdrant import Qdrant
from prosa.knowledge.vectors import Embedding, Filling, Forgotten, Vector
from prosa.simulator import fake_llm

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.pgvector]

ONE, OTHER = "openai:text-embedding-3-small", "openai:text-embedding-3-large"
TEXTS = {
    "frete": "O frete para Campinas custa dez reais.",
    "troca": "A troca é grátis por trinta dias.",
    "pix": "No Pix há cinco por cento de desconto.",
    "horario": "Abrimos de segunda a sexta, das nove às dezoito.",
    "garantia": "Os eletrônicos têm doze meses de garantia.",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with fake_llm.running() as address:
        yield address


@pytest.fixture
def use(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set the embedding model (and other settings) as the environment would."""
    fake_llm.control.reset()
    monkeypatch.setattr(embedding, "_memory", cache.Memory(10**8, 60))
    monkeypatch.setattr(embedder, "TRIES", 1)

    def change(model: str, **more: str) -> None:
        given = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{address}/v1", "PROSA_EMBEDDING_MODEL": model, **more}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        conf.settings.cache_clear()

    with connection.cursor() as cursor:  # a flush spares Procrastinate's tables
        cursor.execute("DELETE FROM procrastinate_jobs")
    change(ONE)
    yield change
    monkeypatch.undo()
    conf.settings.cache_clear()
    fake_llm.control.reset()


@pytest.fixture
def shop(use: Callable[..., None]) -> Business:
    made = Business.objects.create(name="Shop", slug="shop")
    write(made, **TEXTS)
    return made


def write(business: Business, **texts: str) -> None:
    index.store(business.pk, [index.Entry(name, name, (index.Piece(text),), "pt") for name, text in texts.items()])


def embedded() -> list[str]:
    """Every text the embedder was asked for, in order."""
    return [text for request in fake_llm.control.requests for text in texts_of(request.body["input"])]


def texts_of(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def run(act: Callable[[], Awaitable[Any]]) -> Any:
    """``act()`` in an event loop that ends as a process's does."""

    async def live() -> Any:
        try:
            return await act()
        finally:
            await fusion.close()

    return async_to_sync(live)()


def catch_up(business: Business) -> None:
    run(lambda: filling.catch_up(business_id=business.pk))


def ask(business: Business, text: str, **more: bool) -> Sequence[Passage]:
    async def look() -> Sequence[Passage]:
        async with filling.pool() as pool:
            return await fusion.passages(pool, business.pk, text, 5, **more)

    return run(look)


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name LIKE '%filling.catch_up' AND status = 'todo'"
        )
        return cursor.fetchone()[0]


def held(model: str) -> set[int]:
    return set(Vector.objects.filter(model=model).values_list("chunk_id", flat=True))


def chunks() -> set[int]:
    return set(Chunk.objects.values_list("pk", flat=True))


def test_every_passage_is_embedded_once_below_its_title_and_booked(shop: Business):
    ModelPrice.objects.create(pattern=ONE, input=Decimal("0.02"), output=0, valid_from="2026-01-01")
    catch_up(shop)
    assert sorted(embedded()) == sorted(f"{name} {text}" for name, text in TEXTS.items())
    assert held(ONE) == chunks()
    assert filling.progress(shop.pk) == filling.Progress(ONE, ONE, 5, 5)
    assert filling.progress(shop.pk).complete
    used = UsageDay.objects.get()
    assert (used.business, used.model, used.purpose) == (shop, ONE, "embedding")
    assert used.input_tokens > 0
    assert used.cost == used.input_tokens * Decimal("0.02") / 1_000_000
    catch_up(shop)
    assert len(embedded()) == 5


def test_only_what_changed_is_embedded_and_what_is_deleted_is_forgotten_at_once(shop: Business):
    catch_up(shop)
    write(shop, **(TEXTS | {"pix": "No Pix há dez por cento de desconto."}))
    assert held(ONE) < chunks()
    assert filling.progress(shop.pk).serving == ONE
    assert not filling.progress(shop.pk).complete
    catch_up(shop)
    assert held(ONE) == chunks()
    assert embedded()[5:] == ["pix No Pix há dez por cento de desconto."]
    index.forget(shop.pk, list(TEXTS))
    assert held(ONE) == set()
    shop.delete()
    assert not Filling.objects.exists()


def test_writing_asks_for_it_once_and_with_the_transaction(shop: Business, use: Callable[..., None]):
    with transaction.atomic():
        filling.wanted(shop.pk)
        transaction.set_rollback(True)
    assert waiting() == 0
    filling.wanted(shop.pk)
    filling.wanted(shop.pk)
    assert waiting() == 1
    use("")
    other = Business.objects.create(name="Other", slug="other")
    filling.wanted(other.pk)
    assert waiting() == 1


def test_what_was_interrupted_goes_on_where_it_was(shop: Business, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(filling, "PAGE", 2)
    fake_llm.control.next("", "500")
    with pytest.raises(TemporaryError):
        catch_up(shop)
    found = filling.progress(shop.pk)
    assert (found.done, found.total, found.serving) == (2, 5, "")
    assert "500" in found.problem
    assert ask(shop, "frete para Campinas")[0].vector is None
    told: list[tuple[int, int]] = []

    async def go_on() -> bool:
        async with filling.pool() as pool:
            return await filling.fill(pool, shop.pk, lambda done, total: told.append((done, total)))

    assert run(go_on)
    assert told == [(4, 5), (5, 5)]
    assert filling.progress(shop.pk) == filling.Progress(ONE, ONE, 5, 5)
    # Two pages were asked for twice at most: the one that failed.
    assert sorted(set(embedded())) == sorted(f"{name} {text}" for name, text in TEXTS.items())


def test_what_was_embedded_before_a_kill_costs_nothing_again(shop: Business):
    catch_up(shop)
    # Killed between the embedding and the store: only the cache remembers.
    Vector.objects.all().delete()
    Filling.objects.all().delete()
    catch_up(shop)
    assert len(embedded()) == 5
    assert held(ONE) == chunks()


def test_a_store_that_lost_its_vectors_is_filled_again(shop: Business):
    catch_up(shop)
    Vector.objects.filter(chunk_id=min(chunks())).delete()
    catch_up(shop)
    assert held(ONE) == chunks()


def test_a_new_model_takes_over_when_it_is_whole_and_the_old_one_goes(
    shop: Business, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    catch_up(shop)
    use(OTHER)
    monkeypatch.setattr(filling, "PAGE", 2)
    fake_llm.control.next("", "500")
    with pytest.raises(TemporaryError):
        catch_up(shop)
    found = filling.progress(shop.pk)
    assert (found.model, found.serving, found.done, found.total) == (OTHER, ONE, 2, 5)
    assert "Meanwhile: openai:text-embedding-3-small" in next(iter(checks.vectors())).text
    # The question is embedded as the passages that serve were.
    fake_llm.control.requests.clear()
    (best, *_) = ask(shop, "quanto custa o frete para Campinas?")
    assert best.document == "frete"
    assert best.vector is not None
    assert {request.body["model"] for request in fake_llm.control.requests} == {"text-embedding-3-small"}
    catch_up(shop)
    assert held(OTHER) == chunks()
    assert held(ONE) == set()
    assert filling.progress(shop.pk) == filling.Progress(OTHER, OTHER, 5, 5)
    assert "serves all 5" in next(iter(checks.vectors())).text
    fake_llm.control.requests.clear()
    assert ask(shop, "frete para Campinas")[0].vector is not None
    assert {request.body["model"] for request in fake_llm.control.requests} == {"text-embedding-3-large"}


def test_switching_back_before_the_new_model_was_whole_costs_nothing(
    shop: Business, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    catch_up(shop)
    use(OTHER)
    monkeypatch.setattr(filling, "PAGE", 2)
    fake_llm.control.next("", "500")
    with pytest.raises(TemporaryError):
        catch_up(shop)
    write(shop, **TEXTS, novo="Vendemos vale-presente.")
    use(ONE)
    fake_llm.control.requests.clear()
    catch_up(shop)
    assert embedded() == ["novo Vendemos vale-presente."]
    assert held(ONE) == chunks()
    assert held(OTHER) == set()
    assert filling.progress(shop.pk).complete


def test_a_new_model_is_noticed_without_anybody_writing(shop: Business, use: Callable[..., None]):
    run(filling.look_after)
    assert waiting() == 1
    catch_up(shop)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    run(filling.look_after)
    assert waiting() == 0
    use(OTHER)
    run(filling.look_after)
    assert waiting() == 1
    use("")
    assert run(_behind) == []


async def _behind() -> list[int]:
    async with filling.pool() as pool:
        return await filling.behind(pool)


def test_a_spent_budget_pauses_it_and_says_so(shop: Business):
    Budget.objects.create(business=shop, day_hard=Decimal(0))
    catch_up(shop)
    assert embedded() == []
    assert filling.progress(shop.pk).problem == filling.BUDGET
    finding = next(iter(checks.vectors()))
    assert (finding.level, filling.BUDGET in finding.text) == ("warning", True)
    Budget.objects.update(day_hard=None)
    assert run(_behind) == [shop.pk]
    catch_up(shop)
    assert filling.progress(shop.pk) == filling.Progress(ONE, ONE, 5, 5)
    # What a spent budget forbids is also forbidden to questions.
    fake_llm.control.requests.clear()
    assert ask(shop, "frete para Campinas", free=True)[0].vector is None
    assert embedded() == []


def test_without_pgvector_words_serve_and_the_doctor_says_so(shop: Business):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE prosa_knowledge_vector RENAME TO away")
    try:
        catch_up(shop)
        assert "pgvector" in filling.progress(shop.pk).problem
        (found, *_) = ask(shop, "frete para Campinas")
        assert (found.document, found.vector) == ("frete", None)
        finding = next(iter(checks.vectors()))
        assert finding.level == "warning"
        assert "PostgreSQL has no pgvector" in finding.text
        assert index.forget(shop.pk, ["pix"]) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO prosa_knowledge_vector")


def test_a_wrong_key_is_told_and_not_tried_for_ever(shop: Business, use: Callable[..., None]):
    fake_llm.control.next("401")
    catch_up(shop)
    assert "401" in filling.progress(shop.pk).problem
    use("openai:")
    catch_up(shop)
    assert "not the name of an embedding model" in filling.progress(shop.pk).problem


def test_another_server_forgets_what_was_deleted_here(
    shop: Business, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    use(ONE, PROSA_QDRANT_URL="http://qdrant.example")

    async def walk() -> None:
        client = AsyncQdrantClient(":memory:")

        class Kept(Qdrant):
            async def close(self) -> None:
                """The client outlives each use."""

        monkeypatch.setattr(stores, "find", lambda _pool: Kept(client, indexed=False))
        store = Kept(client, indexed=False)
        await filling.catch_up(business_id=shop.pk)
        assert await store.models(shop.pk) == {ONE: 5}
        await elsewhere(index.forget, shop.pk, ["pix", "frete"])
        assert await elsewhere(Forgotten.objects.count) == 2
        await filling.look_after()
        assert await store.models(shop.pk) == {ONE: 3}
        assert await elsewhere(Forgotten.objects.count) == 0
        number = shop.pk
        await elsewhere(shop.delete)
        await filling.look_after()
        assert await store.models(number) == {}
        assert await elsewhere(Forgotten.objects.count) == 0
        await client.close()

    run(walk)


async def elsewhere(function, *arguments):
    """Django in its thread."""
    return await sync_to_async(function)(*arguments)


def test_embeddings_whose_time_is_over_are_swept(shop: Business):
    catch_up(shop)
    assert Embedding.objects.count() == 5
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE prosa_knowledge_embedding SET expires_at = now() - interval '1 s' WHERE key IN"
            " (SELECT key FROM prosa_knowledge_embedding LIMIT 3)"
        )
    run(filling.sweep)
    assert Embedding.objects.count() == 2


def test_prices_list_the_embedding_model(shop: Business, use: Callable[..., None]):
    assert ONE in prices.in_use()
    use("local:all-minilm-l6-v2")
    assert "local:all-minilm-l6-v2" not in prices.in_use()
