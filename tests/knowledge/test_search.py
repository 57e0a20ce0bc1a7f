"""Approved answers are found by meaning-bearing words, and only then."""

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.knowledge import search
from prosa.knowledge.models import ApprovedAnswer
from prosa.postgres.connections import connect

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERS = {
    "Qual o horário de funcionamento?; Que horas abre a loja?": "De segunda a sábado, das 9h às 18h.",
    "Aceitam cartão de crédito?; Dá para parcelar?": "Sim, em até 3 vezes. Também aceitamos Pix.",
    "Vocês entregam no domingo?": "Não entregamos aos domingos.",
    "Fazem bolo sem lactose?": "Sim: chocolate e morango.",
    "¿Hacen envíos al extranjero?": "No, solo dentro del país.",
    "Do you have a loyalty program?": "Yes, ten cakes earn one.",
}


@pytest.fixture
def business():
    made = Business.objects.create(name="Doces", slug="doces")
    for question, answer in ANSWERS.items():
        ApprovedAnswer.objects.create(business=made, question=question, answer=answer)
    return made


def find(business, text, limit=3):
    async def ask():
        dsn = make_conninfo(postgres.dsn(conf.settings()), dbname=django_connection.settings_dict["NAME"])
        async with await connect(dsn) as connection:
            return await search.approved(connection, business.pk, text, limit)

    return async_to_sync(ask)()


@pytest.mark.parametrize(
    ("asked", "begins"),
    [
        ("QUAL O HORARIO DE FUNCIONAMENTO", "De segunda"),
        ("oi, bom dia! quais os horários?", "De segunda"),
        ("que horas voces abrem?", "De segunda"),
        ("aceita cartões?", "Sim, em até"),
        ("posso pagar com cartao de credito", "Sim, em até"),
        ("da pra parcelar?", "Sim, em até"),
        ("tem entrega aos domingos?", "Não entregamos"),
        ("bolos sem lactose", "Sim: chocolate"),
        ("hacen envio al extranjero?", "No, solo"),
        ("loyalty programs?", "Yes, ten"),
        ("hora\u0301rio", "De segunda"),
    ],
)
def test_found_despite_case_accents_number_and_wording(business, asked, begins):
    best = find(business, asked)[0]
    assert best.answer.startswith(begins)
    assert 0.5 <= best.score <= 1


@pytest.mark.parametrize(
    "asked", ["", "oi", "bom dia, tudo bem?", "🎂", "'; DROP TABLE x; --", "& | ! :* (", "xyzzy", "1" * 5000]
)
def test_nothing_to_go_by_finds_nothing(business, asked):
    assert find(business, asked) == []


@pytest.mark.parametrize(
    "asked",
    [
        "quero cancelar minha assinatura de internet e receber reembolso do cartão",
        "vocês vendem pneus para caminhão aro vinte e dois",
        "what is the capital of Mongolia and its population",
    ],
)
def test_off_topic_scores_low(business, asked):
    assert all(one.score < 0.35 for one in find(business, asked))


def test_a_word_of_the_question_counts_more_than_one_of_the_answer(business):
    [best, *_] = find(business, "chocolate")
    assert best.score == pytest.approx(0.6)
    assert find(business, "lactose")[0].score == pytest.approx(1.0)


def test_inactive_answers_and_other_businesses_are_not_said(business):
    other = Business.objects.create(name="Outra", slug="outra")
    ApprovedAnswer.objects.create(business=other, question="Qual o horário?", answer="Nunca.")
    assert [one.answer for one in find(other, "qual o horário?")] == ["Nunca."]
    assert "Nunca." not in [one.answer for one in find(business, "qual o horário?")]
    ApprovedAnswer.objects.filter(business=other).update(active=False)
    assert find(other, "qual o horário?") == []


def test_a_changed_answer_is_found_by_its_new_words(business):
    entry = ApprovedAnswer.objects.get(question__startswith="Fazem bolo")
    entry.question = "Têm opção vegana?"
    entry.save()
    assert find(business, "opções veganas")[0].id == entry.pk
    assert all(one.id != entry.pk for one in find(business, "lactose"))


def test_the_limit_holds(business):
    for number in range(5):
        ApprovedAnswer.objects.create(business=business, question=f"Qual o horário {number}?", answer="x")
    assert len(find(business, "horário", limit=2)) == 2


def test_python_and_postgresql_fold_alike(business):
    text = "ÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝ maçã Ñandú"
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT prosa_fold(%s)", [text])
        assert cursor.fetchone()[0] == search.fold(text)
