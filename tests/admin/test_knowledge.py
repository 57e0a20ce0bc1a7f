"""Sources, documents, approved answers and what was learned, in the admin."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from prosa.business.models import Business
from prosa.knowledge import index, source_forms
from prosa.knowledge.learned import Gap, Suggestion
from prosa.knowledge.models import ApprovedAnswer, Document, Item, Source

LISTS = ("source", "document", "approvedanswer", "gap", "suggestion")
PIECES = (
    index.Piece("O frete para Campinas custa R$ 18,90.", "Entregas", "pt"),
    index.Piece("Trocas em 30 dias.", "Trocas", "pt"),
)


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def address(name, *args):
    return reverse(f"admin:prosa_knowledge_{name}", args=args)


def gap(business, question="vocês consertam relógio?", **fields):
    now = timezone.now()
    made = {"stems": ["consert", "relogi"], "count": 2, "first_at": now, "last_at": now, "conversation_id": 7}
    return Gap.objects.create(business=business, question=question, **(made | fields))


def suggestion(business, number=1, **fields):
    made = {"question": "consertam relógio?", "answer": "Sim, por R$ 80.", "kind": "new", "author": "agent"}
    return Suggestion.objects.create(
        business=business, message_id=number, conversation_id=7, answered_at=timezone.now(), **(made | fields)
    )


# ── sources ──


def test_an_empty_house_says_what_to_do(admin_client, business):
    for name in LISTS[:3]:
        assert "prosa-empty" in admin_client.get(address(f"{name}_changelist")).content.decode()
    for name in LISTS[3:]:
        assert "Nothing yet" in admin_client.get(address(f"{name}_changelist")).content.decode()
    assert "The assistant has read nothing yet" in admin_client.get(address("document_ask")).content.decode()
    page = admin_client.get(address("source_add")).content.decode()
    assert all(f"?kind={kind}" in page for kind in source_forms.FORMS)


def test_several_files_are_several_sources_of_the_only_business(admin_client, business):
    files = [SimpleUploadedFile(name, b"Frete: R$ 10") for name in ("frete.txt", "trocas.md")]
    page = admin_client.get(address("source_add") + "?kind=upload").content.decode()
    assert f'type="hidden" name="business" value="{business.pk}"' in page
    answer = admin_client.post(address("source_add") + "?kind=upload", {"business": business.pk, "chosen": files})
    assert answer.status_code == 302
    made = Source.objects.order_by("name")
    assert [(each.name, each.status) for each in made] == [("frete.txt", "waiting"), ("trocas.md", "waiting")]


def test_a_file_uploaded_again_takes_the_place_of_the_first(
    admin_client, business, django_capture_on_commit_callbacks, tmp_path
):
    for text in (b"um", b"dois"):
        files = [SimpleUploadedFile("frete.txt", text)]
        with django_capture_on_commit_callbacks(execute=True):
            admin_client.post(address("source_add") + "?kind=upload", {"business": business.pk, "chosen": files})
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == 1
    with Source.objects.get().file.open() as stored:
        assert stored.read() == b"dois"


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [("foto.png", b"x", "of a kind that is not read"), ("vazio.txt", b"", "empty"), ("", b"x", "required")],
)
def test_a_file_that_cannot_be_read_is_refused_in_the_form(admin_client, business, name, body, told):
    files = {"chosen": SimpleUploadedFile(name, body)} if name else {}
    page = admin_client.post(address("source_add") + "?kind=upload", {"business": business.pk, **files})
    assert page.status_code == 200
    assert told in page.content.decode()
    assert not Source.objects.exists()


def test_a_file_too_big_is_refused_in_the_form(admin_client, business, monkeypatch):
    monkeypatch.setattr(source_forms, "MOST_BYTES", 3)
    data = {"business": business.pk, "chosen": SimpleUploadedFile("a.txt", b"quatro")}
    assert "is bigger than" in admin_client.post(address("source_add") + "?kind=upload", data).content.decode()


@pytest.mark.parametrize(
    ("kind", "given", "config"),
    [
        ("text", {"name": "Horário", "text": "Abrimos às 9h."}, {"text": "Abrimos às 9h."}),
        ("url", {"url": "loja.example/frete"}, {"url": "https://loja.example/frete"}),
        ("sitemap", {"url": "https://loja.example/sitemap.xml", "every_minutes": 60}, {"url": "https://loja.example/sitemap.xml"}),
    ],
)  # fmt: skip
def test_texts_pages_and_sites_are_added(admin_client, business, kind, given, config):
    answer = admin_client.post(address("source_add") + f"?kind={kind}", {"business": business.pk, **given})
    source = Source.objects.get()
    assert answer.headers["Location"] == address("source_change", source.pk)
    assert (source.config, source.status, source.every_minutes) == (config, "waiting", given.get("every_minutes"))
    again = admin_client.post(address("source_add") + f"?kind={kind}", {"business": business.pk, **given})
    assert "There is a source of this name already" in again.content.decode()


def test_a_folder_outside_is_refused(admin_client, business):
    for path in ("/etc", "../..", "nowhere"):
        data = {"business": business.pk, "path": path}
        page = admin_client.post(address("source_add") + "?kind=folder", data).content.decode()
        assert "There is no such folder" in page
    assert not Source.objects.exists()


def test_progress_and_errors_are_told_with_the_next_move(admin_client, business):
    running = Source.objects.create(business=business, kind="sitemap", name="Site", status="running", total=10, done=4)
    broken = Source.objects.create(
        business=business, kind="url", name="Página", status="failed", error="It answers 404.\nCheck the address."
    )
    Item.objects.create(source=broken, key="https://x.example/<b>", error="It answers 404.\nCheck the address.")
    page = admin_client.get(address("source_changelist")).content.decode()
    assert 'value="4" max="10"' in page
    assert "Check the address." in page
    found = admin_client.get(address("source_progress") + f"?ids={running.pk},{broken.pk},x").json()
    assert (found[str(running.pk)]["busy"], found[str(broken.pk)]["busy"]) == (True, False)
    one = admin_client.get(address("source_change", broken.pk)).content.decode()
    assert "https://x.example/&lt;b&gt;" in one


@pytest.mark.parametrize("kind", ["upload", "text"])
def test_what_does_not_change_by_itself_has_no_period(admin_client, business, kind):
    source = Source.objects.create(business=business, kind=kind, name="Horário", config={"text": "9h"}, status="done")
    page = admin_client.get(address("source_change", source.pk)).content.decode()
    assert "every_minutes" not in page
    assert "How often" not in page
    admin_client.post(address("source_change", source.pk), {"every_minutes": "60"})
    source.refresh_from_db()
    assert (source.active, source.every_minutes) == (False, None)


def test_what_is_wrong_is_told_in_the_readers_language(admin_client, business):
    error = "https://loja.example/x answers 404.\nCheck the address; pages behind a login are not read."
    source = Source.objects.create(business=business, kind="url", name="Página", status="failed", error=error)
    Item.objects.create(source=source, key="https://loja.example/x", error=error)
    for tongue, told in (("pt-br", "responde 404"), ("es", "responde 404"), ("en", "answers 404")):
        page = admin_client.get(
            address("source_change", source.pk), headers={"accept-language": tongue}
        ).content.decode()
        assert page.count(f"https://loja.example/x {told}.") == 2


def test_it_is_read_again_and_how_often_is_changed(admin_client, business):
    config = {"url": "https://loja.example/horario"}
    source = Source.objects.create(business=business, kind="url", name="Horário", config=config, status="done")
    assert admin_client.get(address("source_sync", source.pk)).status_code == 405
    admin_client.post(address("source_sync", source.pk))
    source.refresh_from_db()
    assert source.status == "waiting"
    admin_client.post(address("source_change", source.pk), {"active": "on", "every_minutes": "60"})
    source.refresh_from_db()
    assert source.every_minutes == 60
    assert "greater than or equal to 5" in admin_client.post(
        address("source_change", source.pk), {"every_minutes": "1"}
    ).content.decode().replace("&#x27;", "'")


def test_deleting_a_source_says_how_much_is_forgotten(admin_client, business):
    source = Source.objects.create(business=business, kind="text", name="Frete", status="done")
    index.store(business.pk, [index.Entry("a", "Frete", PIECES, "pt", source_id=source.pk)])
    index.store(business.pk, [index.Entry("b", "Outro", PIECES, "pt")])
    assert "1 document is forgotten" in admin_client.get(address("source_delete", source.pk)).content.decode()
    admin_client.post(address("source_delete", source.pk))
    assert not Source.objects.exists()
    assert Document.objects.get().external_id == "b"


def test_staff_who_may_only_look_change_nothing(staff, business):
    source = Source.objects.create(business=business, kind="text", name="Frete", status="done")
    client = staff("prosa_knowledge.view_source")
    assert client.get(address("source_change", source.pk)).status_code == 200
    assert client.post(address("source_sync", source.pk)).status_code == 403
    assert client.post(address("source_change", source.pk), {"every_minutes": 60}).status_code == 403
    assert client.post(address("source_delete", source.pk)).status_code == 403
    assert client.get(address("source_add")).status_code == 403
    assert client.get(address("document_ask")).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_as_much_for_many_as_for_few(admin_client, business, name):
    def fill(start):
        for number in range(start, start + 3):
            source = Source.objects.create(business=business, kind="text", name=f"s{number}", status="done")
            index.store(business.pk, [index.Entry(f"d{number}", "Frete", PIECES, "pt", source_id=source.pk)])
            answer = ApprovedAnswer.objects.create(business=business, question=f"q{number}", answer="a")
            gap(business, f"g{number}", answer=answer)
            suggestion(business, number)

    counts = []
    for start in (0, 3):
        fill(start)
        admin_client.get(address(f"{name}_changelist"))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin_client.get(address(f"{name}_changelist")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


# ── documents and asking ──


def test_a_document_shows_its_passages_as_search_sees_them(admin_client, business):
    source = Source.objects.create(business=business, kind="upload", name="frete.pdf", status="done")
    index.store(business.pk, [index.Entry("a", "Frete <b>", PIECES, "pt", source_id=source.pk)])
    document = Document.objects.get()
    page = admin_client.get(address("document_change", document.pk)).content.decode()
    assert "2 passages" in page
    assert "Entregas" in page
    assert address("source_change", source.pk) in page
    assert "Frete &lt;b&gt;" in page
    assert admin_client.get(address("document_change", 10**17)).status_code == 404
    assert document.pk in {
        row.pk for row in admin_client.get(address("document_changelist"), {"q": "campinas"}).context["cl"].result_list
    }
    assert not admin_client.get(address("document_changelist"), {"q": "telhado"}).context["cl"].result_list


@pytest.mark.django_db(transaction=True)
def test_asking_shows_what_is_found_and_what_fell_short(admin_client, business):
    other = Business.objects.create(name="Outra", slug="outra")
    index.store(business.pk, [index.Entry("a", "Frete", PIECES, "pt")])
    index.store(other.pk, [index.Entry("a", "Segredo", PIECES, "pt")])
    page = admin_client.get(address("document_ask"), {"business": business.pk, "q": "qto custa o frte pra campinas?"})
    assert page.context["above"][0].text == PIECES[0].text
    text = page.content.decode()
    assert "R$ 18,90" in text
    assert "Segredo" not in text
    assert address("document_change", Document.objects.get(business=business).pk) in text
    none = admin_client.get(address("document_ask"), {"business": business.pk, "q": "telhado zinco"}).content.decode()
    assert "Nothing fits" in none


# ── approved answers ──


def test_answers_are_imported_whole_or_not_at_all(admin_client, business):
    ApprovedAnswer.objects.create(business=business, question="Frete?", answer="velho")

    def send(text, encoding="utf-8"):
        file = SimpleUploadedFile("respostas.csv", text.encode(encoding))
        return admin_client.post(address("approvedanswer_import"), {"business": business.pk, "file": file}, follow=True)

    bad = send("pergunta;resposta\nFrete?;novo\nTrocas?;\n")
    assert "Line 3" in bad.content.decode()
    assert ApprovedAnswer.objects.get().answer == "velho"
    assert "no date" in send("question,answer,valid_to\nA,b,ontem\n").content.decode()
    assert "no date" in send("question,answer,valid_to\nA,b,1/1/99999999999999999999\n").content.decode()
    reversed_days = send("question,answer,valid_from,valid_to\nA,b,2099-02-01,2099-01-01\n").content.decode()
    assert "Line 2: The last day is before the first." in reversed_days
    assert "must name the columns" in send("um,dois\na,b\n").content.decode()
    good = send("Pergunta;Resposta;Até\nFrete?;novo é assim;31/12/2099\nTrocas?;30 dias;\n", "cp1252")
    assert "2 answers were imported." in good.content.decode()
    frete = ApprovedAnswer.objects.get(question="Frete?")
    assert (frete.answer, str(frete.valid_to)) == ("novo é assim", "2099-12-31")
    assert "Trocas?" not in admin_client.get(address("approvedanswer_changelist"), {"valid": "over"}).content.decode()


# ── learned ──


def test_an_answer_written_for_a_gap_closes_it(admin_client, business):
    open_gap = gap(business, near={"title": "Vitrine", "section": "", "score": 0.12, "text": "Vendemos <b>."})
    page = admin_client.get(address("gap_changelist")).content.decode()
    assert "0.12" in page
    assert reverse("admin:prosa_conversations_conversation_change", args=[7]) in page
    form = address("approvedanswer_add") + f"?gap={open_gap.pk}"
    assert "vocês consertam relógio?" in admin_client.get(form).content.decode()
    admin_client.post(form, {"business": business.pk, "question": open_gap.question, "answer": "Sim.", "active": "on"})
    open_gap.refresh_from_db()
    assert (open_gap.status, open_gap.answer.answer, open_gap.decided_by.username) == ("answered", "Sim.", "admin")
    assert not admin_client.get(address("gap_changelist")).context["cl"].result_list


def test_a_gap_is_dismissed(admin_client, business):
    one = gap(business)
    admin_client.post(address("gap_changelist"), {"action": "dismiss", "_selected_action": [one.pk]})
    one.refresh_from_db()
    assert one.status == "dismissed"
    assert one.question in admin_client.get(address("gap_changelist"), {"status": "dismissed"}).content.decode()


def test_a_suggestion_is_approved_with_one_click_and_who_is_kept(admin_client, business):
    one = suggestion(business)
    assert "Approve" in admin_client.get(address("suggestion_change", one.pk)).content.decode()
    admin_client.post(address("suggestion_decide", one.pk, "approve"))
    one.refresh_from_db()
    assert ApprovedAnswer.objects.get().answer == "Sim, por R$ 80."
    assert (one.status, one.decided_by.username) == ("approved", "admin")
    again = admin_client.post(address("suggestion_decide", one.pk, "refuse"), follow=True)
    assert "approved already" in again.content.decode()


def test_a_suggestion_is_edited_before_and_never_approved_with_hidden_data(admin_client, business):
    one = suggestion(business, answer="Ligue para [phone].")
    page = admin_client.post(address("suggestion_decide", one.pk, "approve"), follow=True)
    assert "hides personal data" in page.content.decode()
    assert not ApprovedAnswer.objects.exists()
    admin_client.post(address("suggestion_change", one.pk), {"question": one.question, "answer": "Ligue na loja."})
    admin_client.post(address("suggestion_changelist"), {"action": "approve_all", "_selected_action": [one.pk]})
    assert ApprovedAnswer.objects.get().answer == "Ligue na loja."


def test_a_suggestion_is_refused(admin_client, business):
    one = suggestion(business)
    admin_client.post(address("suggestion_decide", one.pk, "refuse"))
    assert Suggestion.objects.get().status == "refused"
    assert not ApprovedAnswer.objects.exists()


def test_who_may_only_look_decides_nothing(staff, business):
    one = suggestion(business)
    client = staff("prosa_knowledge.view_suggestion", "prosa_knowledge.view_gap")
    assert client.get(address("suggestion_change", one.pk)).status_code == 200
    assert client.get(address("gap_changelist")).status_code == 200
    assert client.post(address("suggestion_decide", one.pk, "approve")).status_code == 403


def test_a_new_period_takes_nothing_from_a_worker_at_work(admin_client, business, monkeypatch):
    source = Source.objects.create(business=business, kind="url", name="T", status="running", config={"text": "x"})
    valid = source_forms.PeriodForm.is_valid

    def meanwhile(form):
        Source.objects.filter(pk=source.pk).update(status="done", done=5)
        return valid(form)

    monkeypatch.setattr(source_forms.PeriodForm, "is_valid", meanwhile)
    admin_client.post(address("source_change", source.pk), {"active": "on", "every_minutes": "60"})
    source.refresh_from_db()
    assert (source.every_minutes, source.status, source.done) == (60, "done", 5)


def test_a_documents_address_is_a_link_only_when_it_leads_to_the_web(admin_client, business):
    pages = {
        url: Document.objects.create(business=business, external_id=url, title="T", url=url, checksum="c")
        for url in ("javascript:alert(1)", "https://example.com/a")
    }
    shown = {url: admin_client.get(address("document_change", made.pk)).content.decode() for url, made in pages.items()}
    assert "javascript:alert" not in shown["javascript:alert(1)"]
    assert 'href="https://example.com/a"' in shown["https://example.com/a"]
