"""Guidelines are drafted, published and rolled back; nobody's words are lost on the way."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.urls import reverse

from prosa.business import publishing
from prosa.business.models import Guideline, GuidelineDraft
from prosa.channels.models import Inbox


@pytest.fixture
def guideline(business):
    return business.guideline


def address(guideline):
    return reverse("admin:prosa_business_guideline_change", args=[guideline.pk])


def version_page(guideline, number):
    return reverse("admin:prosa_business_guideline_version", args=[guideline.pk, number])


def written(text, *rules, revision=0, in_force=1, note="", do="save"):
    data = {
        "text": text, "revision": revision, "in_force": in_force, "note": note, do: "1",
        "form-TOTAL_FORMS": len(rules), "form-INITIAL_FORMS": 0,
    }  # fmt: skip
    for place, rule in enumerate(rules):
        for name, value in ({"active": "on", "priority": 50} | rule).items():
            data[f"form-{place}-{name}"] = value
    return data


def versions(guideline):
    return list(guideline.versions.order_by("number").values_list("number", "text", "note", "published_name"))


def test_a_draft_is_obeyed_by_nobody_until_published(admin_client, admin_user, guideline):
    assert admin_client.post(address(guideline), written("Seja breve.")).status_code == 302
    guideline.refresh_from_db()
    assert (guideline.text, guideline.version) == ("Seja gentil.", 1)
    assert (guideline.draft.text, guideline.draft.updated_by) == ("Seja breve.", admin_user)
    page = admin_client.get(address(guideline)).content.decode()
    assert ">gentil<" in page
    assert ">breve<" in page
    data = written("Seja breve.", revision=guideline.draft.revision, note="Menos conversa", do="publish")
    assert admin_client.post(address(guideline), data).status_code == 302
    guideline = Guideline.objects.get()
    assert (guideline.text, guideline.version, guideline.updated_by) == ("Seja breve.", 2, admin_user)
    assert versions(guideline) == [(1, "Seja gentil.", "", ""), (2, "Seja breve.", "Menos conversa", "admin")]
    assert not GuidelineDraft.objects.exists()
    assert "2" in LogEntry.objects.get().change_message


def test_publishing_asks_for_a_note_and_keeps_what_was_written(admin_client, guideline):
    answer = admin_client.post(address(guideline), written("Palavras minhas.", do="publish"))
    assert answer.context["form"].errors.keys() == {"note"}
    assert "Palavras minhas." in answer.content.decode()
    assert Guideline.objects.get().version == 1


def test_the_second_editor_is_told_and_loses_nothing(admin_client, guideline):
    publishing.save_draft(guideline, "Da Bia.", [], 0, 1, None)
    answer = admin_client.post(address(guideline), written("Da Ana."))
    assert answer.status_code == 200
    assert "Somebody else changed the draft" in answer.content.decode()
    form = answer.context["form"]
    assert form["text"].value() == "Da Ana."
    assert [piece.text for piece in answer.context["theirs"] if piece.kind == "removed"] == ["Bia"]
    assert GuidelineDraft.objects.get().text == "Da Bia."
    again = written("Da Ana.", revision=form["revision"].value())
    assert admin_client.post(address(guideline), again).status_code == 302
    assert GuidelineDraft.objects.get().text == "Da Ana."


def test_a_publication_meanwhile_stops_a_save_and_a_publication(admin_client, guideline):
    publishing.save_draft(guideline, "Dois.", [], 0, 1, None)
    publishing.publish_draft(guideline, 1, 1, "n", None)
    for do in ("save", "publish"):
        answer = admin_client.post(address(guideline), written("Meu.", note="x", do=do))
        assert "Another version was published" in answer.content.decode()
        assert answer.context["form"]["in_force"].value() == "2"
    assert Guideline.objects.get().text == "Dois."
    draft = publishing.save_draft(guideline, "Três.", [], 0, 2, None)
    publishing.roll_back(guideline, 1, 2, "", None)
    with pytest.raises(publishing.Outdated):
        publishing.publish_draft(guideline, draft.revision, 2, "n", None)
    assert Guideline.objects.get().version == 3


def test_rolling_back_publishes_the_old_text_and_rules_again(admin_client, guideline):
    rule = {"when": "Chover", "then": "Ofereça chá"}
    admin_client.post(address(guideline), written("Seja breve.", rule, note="n", do="publish"))
    assert Guideline.objects.get().rules[0]["then"] == "Ofereça chá"
    page = admin_client.get(version_page(guideline, 1), {"with": "2"})
    assert "Ofereça chá" in "".join(piece.text for piece in page.context["pieces"] if piece.kind == "removed")
    stale = admin_client.post(version_page(guideline, 1), {"in_force": "1"})
    assert (stale.status_code, Guideline.objects.get().version) == (302, 2)
    admin_client.post(version_page(guideline, 1), {"in_force": "2"})
    now = Guideline.objects.get()
    assert (now.text, now.rules, now.version) == ("Seja gentil.", [], 3)
    assert versions(guideline)[2][2:] == ("Back to version 1", "admin")


def test_a_draft_is_discarded_only_as_it_was_seen(admin_client, guideline):
    draft = publishing.save_draft(guideline, "Novo.", [], 0, 1, None)
    admin_client.post(address(guideline), {"discard": "1", "revision": "0"})
    assert GuidelineDraft.objects.exists()
    admin_client.post(address(guideline), {"discard": "1", "revision": draft.revision})
    assert not GuidelineDraft.objects.exists()
    assert publishing.save_draft(guideline, "Outro.", [], 0, 1, None).revision > draft.revision


def test_rules_are_kept_numbered_and_warned_about(admin_client, business, guideline):
    Inbox.objects.create(business=business, kind="rest", name="API", slug="api")
    rules = (
        {"when": "Perguntar preço", "then": "Diga o da lista", "channels": ["rest"], "begins": "2026-01-01", "ends": "2026-12-31", "always": "on"},
        {"when": "perguntar PRECO!", "then": "Chame uma pessoa", "excludes": "7"},
    )  # fmt: skip
    page = admin_client.post(address(guideline), written("Seja gentil.", *rules), follow=True)
    assert [row["number"] for row in guideline.draft.rules] == [1, 2]
    assert (
        guideline.draft.rules[0] | {"channels": ["rest"], "begins": "2026-01-01", "always": True}
        == guideline.draft.rules[0]
    )
    assert len(page.context["warnings"]) == 2
    assert 'value="2026-01-01"' in page.content.decode()
    wrong = admin_client.post(
        address(guideline), written("x", {"when": "a", "then": "b", "excludes": "dois"}, revision=1)
    )
    assert wrong.context["rules"].forms[0].errors.keys() == {"excludes"}
    kept = {"number": 2, "when": "b", "then": "c"}
    gone = {"number": 1, "when": "a", "then": "b", "DELETE": "on"}
    admin_client.post(address(guideline), written("x", gone, kept, {"when": "n", "then": "m"}, revision=1))
    assert [row["number"] for row in GuidelineDraft.objects.get().rules] == [2, 3]


def test_a_published_version_cannot_be_changed(guideline):
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        guideline.versions.update(text="x")
    publishing.save_draft(guideline, "Dois.", [], 0, 1, author := User.objects.create_user("rui"))
    publishing.publish_draft(guideline, 1, 1, "n", author)
    author.delete()
    made = guideline.versions.get(number=2)
    assert (made.published_by, made.published_name) == (None, "rui")


def test_saving_another_text_is_a_version_too(guideline):
    guideline.text = "Outro."
    guideline.save()
    guideline.save()
    assert versions(guideline) == [(1, "Seja gentil.", "", ""), (2, "Outro.", "", "")]


def test_who_may_only_look_changes_nothing(staff, guideline):
    client = staff("prosa_business.view_guideline")
    page = client.get(address(guideline)).content.decode()
    assert "Seja gentil." in page
    assert "guideline_form" not in page
    assert client.post(address(guideline), written("x")).status_code == 403
    assert client.post(version_page(guideline, 1), {"in_force": "1"}).status_code == 403
    assert client.get(version_page(guideline, 1)).status_code == 200
    assert client.get(version_page(guideline, 9)).status_code == 404
    assert Guideline.objects.get().version == 1
    assert not GuidelineDraft.objects.exists()


def test_who_may_not_look_sees_nothing(staff, guideline):
    client = staff("prosa_business.view_business")
    assert client.get(address(guideline)).status_code == 403
    assert client.get(version_page(guideline, 1)).status_code == 403


def test_they_are_deleted_with_their_business_only(admin_client, business, guideline):
    assert admin_client.post(address(guideline).replace("change", "delete"), {"post": "yes"}).status_code == 403
    gone = reverse("admin:prosa_business_business_delete", args=[business.pk])
    assert admin_client.post(gone, {"post": "yes"}).status_code == 302
    assert not Guideline.objects.exists()
