"""The local model gives the vectors its makers publish."""

from __future__ import annotations

import threading

import pytest

from prosa.contracts import Passage
from prosa.errors import ConfigurationError
from prosa.knowledge import document_pages, embedding, fusion, minilm
from prosa.knowledge.minilm import load
from prosa.postgres.connections import Pool

NAME = "local:all-minilm-l6-v2"


def test_it_computes_what_the_original_does():
    """The first numbers of the sentence its model card embeds, as sentence-transformers prints them."""
    [vector], pieces = load().embed(["This is an example sentence"])
    assert vector[:3] == pytest.approx([0.0676569, 0.0634959, 0.0487131], abs=1e-6)
    assert len(vector) == 384
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-5)
    assert pieces == 7


def test_company_changes_nothing():
    long = "we open at nine and close at six " * 100
    together, _ = load().embed(["short", long])
    alone, _ = load().embed(["short"])
    assert together[0] == pytest.approx(alone[0], abs=1e-5)


async def test_it_serves_by_its_name():
    embedder = embedding.find(NAME)
    assert embedder is not None
    done = await embedder.documents(["When do you open?", "What are your opening hours?", "Tyres for lorries"])
    near, far = (sum(a * b for a, b in zip(done.vectors[0], done.vectors[other], strict=True)) for other in (1, 2))
    assert near > 0.6
    assert far < 0.3
    assert done.tokens > 10
    await embedding.close()


async def test_a_model_that_is_not_installed_is_found_out_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match=r"prosa\[local\]"):
        embedding.find(NAME)
    await embedding.close()


async def test_its_weights_are_not_read_on_the_event_loop(monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []

    def loaded() -> None:
        made.append(threading.current_thread().name)
        raise ConfigurationError("Enough.")

    monkeypatch.setattr(minilm, "load", loaded)
    found = embedding.find(NAME)
    assert found is not None
    with pytest.raises(ConfigurationError):
        await found.query("a text of this test alone")
    assert made
    assert threading.main_thread().name not in made
    await embedding.close()


@pytest.mark.django_db(transaction=True)
async def test_asking_in_the_admin_leaves_no_embedder_behind(monkeypatch: pytest.MonkeyPatch):
    asked: list[embedding.Embedder | None] = []

    async def passages(pool: Pool, *_: object, **__: object) -> list[Passage]:
        asked.append(embedding.find(NAME, pool))
        return []

    monkeypatch.setattr(fusion, "passages", passages)
    await document_pages.look_up(1, "frete")
    assert asked
    assert not embedding._home().embedders
    assert not embedding._home().shared
    await embedding.close()
