"""Passages are found however badly the question is written, and nothing is found where nothing is said."""

import sys
from pathlib import Path
from statistics import mean

import pytest
from asgiref.sync import async_to_sync
from django.db import DataError

sys.path.insert(0, str(Path(__file__).parent))

import labelled

from prosa.business.models import Business
from prosa.knowledge import fusion, index, ranking, search
from prosa.knowledge.analysis import fold
from prosa.knowledge.models import Chunk, Document, Extent, TermCount
from prosa.postgres import connections, shared

pytestmark = pytest.mark.django_db(transaction=True)


def ask(act):
    """``act(pool)`` with connections of the hot path."""

    async def run():
        async with connections.pool(shared.dsn(), high=2) as pool:
            return await act(pool)

    return async_to_sync(run)()


def entry(name, text, title="", **more):
    return index.Entry(name, title, (index.Piece(text),), **more)


def business(slug="shop"):
    return Business.objects.create(name=slug, slug=slug)


def passages(owner, text, limit=10, **more):
    return ask(lambda pool: fusion.passages(pool, owner.pk, text, limit, **more))


@pytest.fixture
def shop():
    made = business()
    told, *_ = labelled.read()
    index.store(made.pk, [entry(each["id"], each["text"], each["title"], language=each["lang"]) for each in told])
    return made


def quality(owner, questions, written=str):
    """Mean nDCG@10, and the best score of each question."""

    async def run(pool):
        found = [await fusion.documents(pool, owner.pk, written(text), 10) for text, _ in questions]
        gained = [
            labelled.ndcg([name for name, _ in each], right) for each, (_, right) in zip(found, questions, strict=True)
        ]
        return mean(gained), [each[0][1] if each else 0.0 for each in found]

    return ask(run)


def test_the_bars_of_quality_hold_on_the_labelled_set(shop):
    told, questions, strange = labelled.read()
    assert len(told) >= 40
    assert len(questions) >= 60
    plain, inside = quality(shop, questions)
    assert plain >= 0.97
    mistyped = [quality(shop, questions, lambda text, seed=seed: labelled.mistyped(text, seed))[0] for seed in range(5)]
    assert plain - mean(mistyped) <= 0.02
    assert plain - quality(shop, questions, labelled.spelled)[0] <= 0.01
    assert quality(shop, questions, fold)[0] == plain
    _, outside = quality(shop, [(text, "") for text in strange])
    assert labelled.auc(inside, outside) >= 0.97
    assert mean(score >= search.FLOOR for score in inside) >= 0.97
    assert mean(score < search.FLOOR for score in outside) >= 0.7


def test_a_passage_says_where_it_is_from():
    owner = business()
    piece = index.Piece("O estorno leva 7 dias.", "Pagamento > Estorno", "pt")
    index.store(owner.pk, [index.Entry("faq-1", "Perguntas", (piece,), "pt", "https://example.com/faq")])
    (found,) = passages(owner, "quando vem o estorno?")
    assert (found.document, found.title, found.section, found.text) == (
        "faq-1",
        "Perguntas",
        "Pagamento > Estorno",
        "O estorno leva 7 dias.",
    )
    assert (found.url, found.language) == ("https://example.com/faq", "pt")
    assert found.date == Document.objects.get().updated_at.date().isoformat()
    assert search.FLOOR <= found.score <= 1
    assert found.chunk_id == Chunk.objects.get().pk


def test_three_documents_are_enough():
    owner = business()
    index.store(
        owner.pk,
        [
            entry("a", "Abrimos de segunda a sexta, das 9h às 18h."),
            entry("b", "Aceitamos cartão de crédito e Pix."),
            entry("c", "Entregamos em toda a cidade; na segunda compra a entrega é grátis."),
        ],
    )
    assert passages(owner, "aseitam cartao?")[0].document == "b"
    assert passages(owner, "abre na segunda?")[0].document == "a"
    assert passages(owner, "qual a capital da França?") == []


@pytest.mark.parametrize("asked", ["camisa verde", "camisa verd", "camiza verde"])
def test_two_words_that_are_everywhere_lead_to_what_has_both(asked, monkeypatch):
    """Neither can be followed through all its passages, and the few that are looked at by one of them do not have the other."""
    monkeypatch.setattr(ranking, "BUDGET", 30)
    monkeypatch.setattr(ranking, "CANDIDATES", 5)
    owner = business()
    entries = [entry(f"{word} {number}", f"{word} {number}") for number in range(60) for word in ("camisa", "verde")]
    index.store(owner.pk, [*entries, entry("both", "camisa de linho verde")])
    found = passages(owner, asked, floor=0.0)
    assert found[0].document == "both"
    assert len(found) <= 5


def test_one_word_that_is_everywhere_is_followed_all_the_same(monkeypatch):
    monkeypatch.setattr(ranking, "BUDGET", 10)
    owner = business()
    index.store(owner.pk, [entry(str(number), f"camisa {number}") for number in range(60)])
    assert len(passages(owner, "camisa", 100, floor=0.0)) == 60


@pytest.mark.parametrize(
    "asked", ["", "oi", "bom dia, tudo bem?", "🎂", "'; DROP TABLE x; --", "xyzzy", "1" * 5000, "\0"]
)
def test_nothing_to_go_by_finds_nothing(shop, asked):
    assert passages(shop, asked) == []


def test_a_business_never_finds_anothers_passages():
    one, other = business("one"), business("other")
    index.store(one.pk, [entry("a", "O frete custa dez reais.")])
    index.store(other.pk, [entry("a", "O frete é grátis para sempre.")])
    assert [found.text for found in passages(one, "quanto custa o frete", floor=0)] == ["O frete custa dez reais."]
    assert passages(business("third"), "quanto custa o frete", floor=0) == []
    assert index.forget(one.pk, ["a"]) == 1
    assert [found.text for found in passages(other, "frete", floor=0)] == ["O frete é grátis para sempre."]


def test_what_is_unchanged_is_left_alone_and_what_changed_is_replaced():
    owner = business()
    assert index.store(owner.pk, [entry("a", "Frete dez reais."), entry("b", "Pix aceito.")]) == index.Stored(
        2, 0, 0, 2
    )
    before = dict(Chunk.objects.values_list("document__external_id", "pk"))
    assert index.store(owner.pk, [entry("a", "Frete vinte reais."), entry("b", "Pix aceito.")]) == index.Stored(
        0, 1, 1, 1
    )
    after = dict(Chunk.objects.values_list("document__external_id", "pk"))
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert passages(owner, "dez", floor=0) == []
    assert passages(owner, "vinte", floor=0)[0].document == "a"


def test_a_document_counts_once_with_its_best_passage():
    owner = business()
    pieces = (
        index.Piece("Entrega em dois dias."),
        index.Piece("Entrega de bolo de casamento, entrega com hora marcada."),
    )
    index.store(owner.pk, [index.Entry("a", "", pieces), entry("b", "Entrega grátis.")])
    found = ask(lambda pool: fusion.documents(pool, owner.pk, "entrega de bolo de casamento", 10))
    assert [name for name, _ in found] == ["a", "b"]
    assert found[0][1] == passages(owner, "entrega de bolo de casamento")[0].score


def counted(owner):
    """The counts as kept, and as the chunks have them."""
    kept = dict(TermCount.objects.filter(business=owner, chunks__gt=0).values_list("term", "chunks"))
    true = {}
    for terms in Chunk.objects.filter(business=owner).values_list("terms", flat=True):
        for term in terms:
            true[term] = true.get(term, 0) + 1
    extent = Extent.objects.get(business=owner)
    lengths = list(Chunk.objects.filter(business=owner).values_list("length", flat=True))
    return (kept, extent.chunks, extent.words), (true, len(lengths), sum(lengths))


def test_the_counts_follow_every_change(shop):
    index.store(shop.pk, [entry("pt-pix", "Outra coisa."), entry("new", "Bolo de cenoura.")])
    kept, true = counted(shop)
    assert kept == true
    Document.objects.filter(external_id__startswith="pt").delete()
    kept, true = counted(shop)
    assert kept == true
    assert kept[1] == Document.objects.count()
    index.forget(shop.pk, list(Document.objects.values_list("external_id", flat=True)))
    assert counted(shop)[0] == ({}, 0, 0)
    assert passages(shop, "frete", floor=0) == []


def test_a_business_can_be_deleted(shop):
    shop.delete()
    assert not Chunk.objects.exists()
    assert not TermCount.objects.exists()
    assert not Extent.objects.exists()


def test_a_store_that_fails_leaves_nothing():
    owner = business()
    with pytest.raises(DataError):
        index.store(owner.pk, [entry("a", "Bom."), entry("b", "Bom.", title="longo" * 101)])
    assert not Document.objects.exists()
    assert not TermCount.objects.exists()


def test_what_the_database_cannot_hold_is_replaced():
    owner = business()
    index.store(owner.pk, [entry("a", "Frete\0 grátis \ud83d.")])
    assert passages(owner, "frete")[0].text == "Frete\ufffd grátis \ufffd."
