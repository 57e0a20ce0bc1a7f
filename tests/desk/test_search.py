"""Finding conversations by what was said and by who it is with."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.contacts.models import Identity
from prosa.conversations.models import Attachment, Conversation, Message
from prosa.desk import search
from prosa.desk.models import Line, Note
from prosa.knowledge.learned import Mark

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


def say(conversation: Conversation, text: str, kind: str = "text") -> Message:
    return Message.objects.create(
        conversation=conversation,
        business_id=conversation.business_id,
        inbox_id=conversation.inbox_id,
        direction="in",
        author="customer",
        kind=kind,
        text=text,
    )


def found(business: Business, asked: str) -> list[int]:
    return search.search(business, asked).ids


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Qual o prazo de ENTREGA?", "entrega"),
        ("vocês têm promoção?", "promocao"),
        ("vocês têm promoções?", "promoção"),
        ("o difusor quebrou", "difusores"),
        ("¿Cuándo llegó mi pedido, señor?", "SENOR pedidos"),
        ("where are my boxes", "box"),
        ("pedido S00042-BR, por favor", "s00042"),
        ("escreva para ana.souza@loja.com.br", "souza loja"),
        ("preciso de um orçamento", "orça"),
    ],
)
def test_words_are_found_without_accents_case_or_endings(talk: Talk, business: Business, text: str, asked: str):
    conversation, other = talk(), talk("Rui")
    say(conversation, text)
    say(other, "bom dia")
    assert found(business, asked) == [conversation.pk]


@pytest.mark.parametrize("asked", ["", "  ", "!!!", "👍", "'", "' | z:* &", "\\", "zzzz", "x" * 5000])
def test_what_means_nothing_finds_nothing(talk: Talk, business: Business, asked: str):
    say(talk(), "bom dia 👍")
    assert found(business, asked) == []


def test_all_words_are_meant(talk: Talk, business: Business):
    one, two = talk(), talk("Rui")
    say(one, "troca do kit azul")
    say(two, "kit verde")
    assert found(business, "kit azul") == [one.pk]
    assert found(business, "kit") == [two.pk, one.pk]


@pytest.mark.parametrize("asked", ["(11) 98765-4321", "11987654321", "+55 11 98765 4321", "1187654321", "4321"])
def test_a_number_finds_its_person(talk: Talk, business: Business, asked: str):
    conversation = talk()
    Identity.objects.filter(contact=conversation.contact).update(key="phone:5511987654321")
    talk("Rui")
    assert found(business, asked) == [conversation.pk]


def test_a_person_is_found_by_name_and_address_in_all_their_conversations(talk: Talk, business: Business):
    conversation = talk("José Conceição")
    Identity.objects.create(business=business, contact=conversation.contact, key="email:jose@exemplo.com")
    Conversation.objects.filter(pk=conversation.pk).update(state="resolved")
    later = Conversation.objects.create(business=business, inbox=conversation.inbox, contact=conversation.contact)
    Message.objects.all().delete()
    assert found(business, "jose conceicao") == [later.pk, conversation.pk]
    assert found(business, "jose@exemplo") == [later.pk, conversation.pk]


def test_what_was_spoken_is_found_also_when_it_was_written_down_later(talk: Talk, business: Business):
    conversation = talk()
    message = say(conversation, "", "audio")
    note = Attachment.objects.create(message=message, kind="audio", status="stored")
    assert found(business, "devolução") == []
    Attachment.objects.filter(pk=note.pk).update(transcript="queria uma devolução")
    hit = search.search(business, "devolucao")
    assert hit.ids == [conversation.pk]
    assert "<mark>devolução</mark>" in hit.lines[conversation.pk]


def test_what_colleagues_noted_is_found_and_said_to_be_a_note(
    bia: Membership, at_desk: Desk, talk: Talk, business: Business, elsewhere: Business
):
    conversation, theirs = talk(), talk("Segredo", of=elsewhere)
    asked = say(conversation, "meu vidro quebrou")
    note = Note.objects.create(conversation=conversation, business=business, text="Trocar o vidro, cliente <antiga>")
    Note.objects.create(conversation=theirs, business=elsewhere, text="Trocar o vidro")
    hit = search.search(business, "vidros")
    assert hit.places == {conversation.pk: f"n{note.pk}"}
    assert search.search(business, "quebrou").places == {conversation.pk: str(asked.pk)}
    assert hit.ids == [conversation.pk]
    page = at_desk(bia).get("/agent/list?q=antigas").content.decode()
    assert "<b>Note:</b> Trocar o vidro, cliente &lt;<mark>antiga</mark>&gt;" in page
    assert f'href="/agent/c/{conversation.pk}?at=n{note.pk}"' in page
    note.delete()
    assert found(business, "antiga") == []


def test_what_is_found_is_opened_where_it_was_said(bia: Membership, at_desk: Desk, talk: Talk, business: Business):
    conversation, other, client = talk(), talk("Eva"), at_desk(bia)
    begin = timezone.now()
    said = Message.objects.bulk_create(
        Message(
            conversation=conversation, business=business, inbox=conversation.inbox, direction="in", author="customer",
            text="a agulha" if n == 70 else f"linha {n}.", created_at=begin + timedelta(minutes=n),
        )
        for n in range(150)
    )  # fmt: skip
    note = Note.objects.create(conversation=conversation, business=business, text="no palheiro")
    Note.objects.filter(pk=note.pk).update(created_at=begin + timedelta(minutes=70, seconds=30))
    assert f"/agent/c/{conversation.pk}?at={said[70].pk}" in client.get("/agent/list?q=agulha").content.decode()

    def lines(query: str) -> list[str]:
        page = client.get(f"/agent/c/{conversation.pk}{query}").content.decode()
        return re.findall(r' id="((?:m|n)\d+)"', page)

    def named(first: int, last: int) -> list[str]:
        return [f"m{each.pk}" for each in said[first : last + 1]]

    opened = client.get(f"/agent/c/{conversation.pk}?at={said[70].pk}").content.decode()
    assert lines(f"?at={said[70].pk}") == [*named(40, 70), f"n{note.pk}", *named(71, 99)]
    assert f'data-shown="m{said[70].pk}"' in opened
    assert f'data-last="{said[149].pk}"' in opened
    assert f'data-before="{said[40].pk}"' in opened
    assert f'data-after="{said[99].pk}"' in opened
    assert f"n{note.pk}" in lines(f"?at=n{note.pk}")
    assert lines(f"/stretch?after={said[80].pk}") == named(81, 140)
    assert lines(f"/stretch?before={said[70].pk}") == named(10, 69)
    assert lines(f"/stretch?after={said[140].pk}") == named(141, 149)
    assert "data-after" not in client.get(f"/agent/c/{conversation.pk}/stretch?after={said[140].pk}").content.decode()
    assert lines("/stretch") == named(90, 149)
    # what is gone, or elsewhere, is no error
    for at in ("999999999999", "n999999999999", "x", str(other.messages.get().pk)):
        assert set(lines(f"?at={at}")) <= {*named(0, 149), f"n{note.pk}", f"m{said[0].pk - 2}"}


def test_a_business_never_finds_anothers(talk: Talk, business: Business, elsewhere: Business):
    theirs = talk("Segredo", of=elsewhere)
    say(theirs, "kit azul")
    Identity.objects.filter(contact=theirs.contact).update(key="phone:5511987654321")
    for asked in ("kit", "segredo", "987654321", f"business:{elsewhere.pk}", f"kit business:{elsewhere.pk}"):
        assert found(business, asked) == []
    assert found(elsewhere, "kit") == [theirs.pk]


def test_late_rows_and_many_rows_are_filed_once(talk: Talk, business: Business, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "BATCH", 3)
    conversation = talk()
    late = say(conversation, "atrasada")
    number = late.pk
    late.delete()
    for n in range(12):
        say(conversation, f"mensagem {n}")
    assert search.fill(1) is False
    assert not search.search(business, "mensagem").whole
    search.file_for_search()
    assert search.search(business, "mensagem").whole
    # A row with a smaller number commits after its neighbours.
    Message.objects.create(
        pk=number, conversation=conversation, business=business, inbox=conversation.inbox, direction="in",
        author="customer", text="atrasada",
    )  # fmt: skip
    assert found(business, "atrasada") == [conversation.pk]
    assert Line.objects.count() == Message.objects.count()
    assert Mark.objects.get(name=search.MARK).position == Message.objects.order_by("-pk")[0].pk


def test_what_a_transaction_kept_back_for_long_is_filed_too(talk: Talk, business: Business):
    message = say(talk(), "atrasada")
    Mark.objects.update_or_create(name=search.MARK, defaults={"position": message.pk + search.LATE_MARGIN - 1})
    assert found(business, "atrasada") == [], "whoever searches does not wait for that"
    search.file_for_search()
    assert found(business, "atrasada") == [message.conversation_id]


def test_who_forgets_a_message_forgets_its_words(talk: Talk, business: Business):
    message = say(talk(), "segredo")
    assert found(business, "segredo")
    message.delete()
    assert not Line.objects.filter(pk=message.pk).exists()
    assert found(business, "segredo") == []


@pytest.mark.parametrize(
    ("text", "forms", "shown"),
    [
        ("a promoção acabou", ["promoc"], "a <mark>promoção</mark> acabou"),
        ("<b>kit</b> & caixa", ["kit"], "&lt;b&gt;<mark>kit</mark>&lt;/b&gt; &amp; caixa"),
        ("kit e kits", ["kit"], "<mark>kit</mark> e <mark>kits</mark>"),
        ("ﬁm do kıt İ kit", ["kit"], "ﬁm do kıt İ <mark>kit</mark>"),
        ("sem nada", ["kit"], "sem nada"),
    ],
)
def test_what_was_found_is_marked_where_it_stands(text: str, forms: list[str], shown: str):
    assert search.marked(text, forms) == shown


def test_a_long_message_shows_the_place(talk: Talk):
    shown = search.marked("início " * 60 + "agulha" + " fim" * 90, ["agulha"])
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "<mark>agulha</mark>" in shown
    assert len(shown) < 220


# ── the page ──


def test_the_list_shows_the_line_that_matched(
    bia: Membership, at_desk: Desk, talk: Talk, business: Business, django_assert_max_num_queries: Any
):
    resolved = talk("Ana", state="resolved")
    say(resolved, "quero <b>difusor</b>")
    talk("Rui")
    client = at_desk(bia)
    with django_assert_max_num_queries(24):
        page = client.get("/agent/list?queue=waiting&q=difusores").content.decode()
    assert f'id="row-{resolved.pk}"' in page
    assert "quero &lt;b&gt;<mark>difusor</mark>&lt;/b&gt;" in page
    assert page.count('class="row"') == 1
    assert "Rui" not in page
    assert 'value="difusores"' in client.get("/agent/dashboard?q=difusores").content.decode()


def test_nothing_found_is_said(bia: Membership, at_desk: Desk, talk: Talk):
    talk("Rui")
    page = at_desk(bia).get("/agent/list?q=xyzzy").content.decode()
    assert "xyzzy" in page
    assert 'class="row"' not in page
