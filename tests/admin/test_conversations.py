"""A conversation as staff read it: complete, safe, in a constant number of queries."""

import re
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from prosa.conversations import thread
from prosa.conversations.media import downloads
from prosa.conversations.models import Attachment, Conversation, Event, Message, Turn, WebhookEvent
from prosa.conversations.pages import webhooks as webhook_pages
from prosa.conversations.pages.bodies import CHARACTERS, readable


def page_of(conversation):
    return reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk])


def say(conversation, text, *, bot=False, **more):
    direction, author, status = ("out", "bot", "sent") if bot else ("in", "customer", "received")
    return Message.objects.create(
        **{
            "conversation": conversation,
            "business": conversation.business,
            "inbox": conversation.inbox,
            "direction": direction,
            "author": author,
            "text": text,
            "status": status,
        }
        | more
    )


def think(conversation, **more):
    now = timezone.now()
    return Turn.objects.create(
        **{
            "conversation": conversation,
            "business": conversation.business,
            "outcome": "answered",
            "started_at": now,
            "finished_at": now,
            "requests": 1,
        }
        | more
    )


def test_bubbles_events_and_reasons(admin_client, conversation):
    say(conversation, "Oi <script>alert(1)</script>")
    turn = think(
        conversation,
        model="openai-chat:x",
        input_tokens=812,
        stages={"model": 912.4},
        guideline_version=3,
        trace={"api_key": "s3cr3t", "note": "kept"},
    )
    say(conversation, "Olá!", bot=True, turn=turn)
    say(
        conversation,
        "perdida",
        bot=True,
        status="failed",
        error_code="131047",
        error="Re-engagement message",
        turn=think(conversation, cost=Decimal("0.00042")),
    )
    Event.objects.create(
        conversation=conversation,
        business=conversation.business,
        kind="handed_off",
        actor="bot",
        data={"reason": "pediu"},
    )
    Event.objects.create(
        conversation=conversation,
        business=conversation.business,
        kind="handed_off",
        actor="customer",
        data={"reason": "keyword"},
    )
    think(conversation, outcome="withheld", draft="Quase disse isto")
    text = admin_client.get(page_of(conversation)).content.decode()
    assert "<script>alert(1)" not in text
    for expected in (
        "Oi &lt;script&gt;",
        "Olá!",
        "openai-chat:x",
        "812",
        "model 912 ms",
        "asked for a person",
        "version 3",
        "price is not known",
        "US$ 0.00042<",
        "131047",
        "passed to a person",
        "pediu",
        "Quase disse isto",
        "Maria &lt;b&gt;",
        "kept",
    ):
        assert expected in text, expected
    assert "s3cr3t" not in text


def test_only_what_was_said_is_explained(admin_client, conversation):
    turn = think(conversation, model="openai-chat:x")
    say(conversation, "Oi", turn=turn)
    say(conversation, "Olá!", bot=True, turn=turn)
    assert admin_client.get(page_of(conversation)).content.decode().count("<summary>Why</summary>") == 1


@pytest.mark.parametrize(
    ("language", "label"),
    [("en", "Waiting for a person"), ("pt-br", "Esperando uma pessoa"), ("es", "Esperando a una persona")],
)
def test_states_have_their_colour_in_every_language(admin_client, conversation, language, label):
    Conversation.objects.update(state="awaiting_agent")
    address = reverse("admin:prosa_conversations_conversation_changelist")
    page = admin_client.get(address, headers={"accept-language": language}).content.decode()
    assert re.search(rf'class="[^"]*bg-red-100[^"]*"[^>]*>\s*{label}', page)


def test_the_number_of_queries_does_not_grow(admin_client, conversation, django_assert_max_num_queries):
    def fill(count):
        for number in range(count):
            message = say(conversation, f"m{number}", bot=True, turn=think(conversation))
            Attachment.objects.create(message=message, kind="image", status="refused")
            Event.objects.create(
                conversation=conversation, business=conversation.business, kind="taken", actor=f"user:{number}"
            )

    fill(2)
    with django_assert_max_num_queries(40) as few:
        admin_client.get(page_of(conversation))
    fill(30)
    with django_assert_max_num_queries(len(few.captured_queries)):
        admin_client.get(page_of(conversation))


def test_the_list_costs_the_same_for_one_and_for_many(admin_client, conversation, django_assert_max_num_queries):
    from prosa.contacts.models import Contact

    address = reverse("admin:prosa_conversations_conversation_changelist")
    with django_assert_max_num_queries(30) as one:
        admin_client.get(address)
    for _ in range(10):
        Conversation.objects.create(
            business=conversation.business,
            inbox=conversation.inbox,
            contact=Contact.objects.create(business=conversation.business),
        )
    with django_assert_max_num_queries(len(one.captured_queries)):
        assert admin_client.get(address).status_code == 200


def test_long_conversations_come_in_pages_without_gap_or_overlap(admin_client, conversation, monkeypatch):
    monkeypatch.setattr(thread, "PAGE", 10)
    start = timezone.now() - timedelta(hours=1)
    for number in range(25):
        message = say(conversation, f"numero-{number:02}")
        Message.objects.filter(pk=message.pk).update(created_at=start + timedelta(minutes=number))
    seen, before = [], 0
    for _ in range(3):
        read = thread.read(conversation, before)
        seen = [entry.message.text for entry in read.entries] + seen
        before = read.older
    assert before == 0
    assert seen == [f"numero-{number:02}" for number in range(25)]
    assert "?before=" in admin_client.get(page_of(conversation)).content.decode()


@pytest.mark.parametrize("before", ["abc", "-1", "9" * 40, "'", "²"])
def test_a_strange_page_is_not_an_error(admin_client, conversation, before):
    assert admin_client.get(page_of(conversation), {"before": before}).status_code == 200


@pytest.mark.parametrize("strange", ["0", "999999999", "abc", "9" * 30])
def test_what_does_not_exist_is_404(admin_client, db, strange):
    assert admin_client.get(f"/admin/prosa_conversations/conversation/{strange}/change/").status_code in (302, 404)


@pytest.mark.parametrize("term", ["chocolate", "maria", "98765", "(11) 98765-4321"])
def test_search_reaches_messages_names_and_phones(admin_client, conversation, term):
    say(conversation, "Tem bolo de Chocolate?")
    found = (
        admin_client.get(reverse("admin:prosa_conversations_conversation_changelist"), {"q": term})
        .context["cl"]
        .result_count
    )
    assert found == 1
    assert (
        admin_client.get(reverse("admin:prosa_conversations_conversation_changelist"), {"q": "xyzzy"})
        .context["cl"]
        .result_count
        == 0
    )


# ── moves ──


def move(conversation, name):
    return reverse("admin:prosa_conversations_conversation_move", args=[conversation.pk, name])


def test_take_give_back_resolve(admin_client, admin_user, conversation):
    for name, state in (("take", "agent_active"), ("give-back", "bot"), ("resolve", "resolved")):
        admin_client.post(move(conversation, name))
        conversation.refresh_from_db()
        assert conversation.state == state
    assert set(conversation.events.values_list("actor", flat=True)) == {f"user:{admin_user.pk}"}
    answer = admin_client.post(move(conversation, "take"), follow=True)
    assert answer.status_code == 200
    assert "cannot be taken" in answer.content.decode()


def test_moves_need_post_permission_and_csrf(admin_client, admin_user, staff, conversation):
    assert admin_client.get(move(conversation, "take")).status_code == 405
    assert admin_client.post(move(conversation, "explode")).status_code == 404
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(admin_user)
    assert careful.post(move(conversation, "take")).status_code == 403
    reader = staff("prosa_conversations.view_conversation")
    assert reader.post(move(conversation, "take")).status_code == 403
    assert "Give back" not in reader.get(page_of(conversation)).content.decode()
    conversation.refresh_from_db()
    assert conversation.state == "bot"


# ── files ──


@pytest.fixture
def stored(conversation):
    def make(mime_type, filename, body=b"<svg onload=alert(1)>", status="stored"):
        attachment = Attachment(
            message=say(conversation, ""),
            kind="document",
            mime_type=mime_type,
            filename=filename,
            status=status,
            size=len(body),
        )
        attachment.file.save(f"t/{timezone.now():%f}", ContentFile(body), save=True)
        return attachment, reverse("admin:prosa_conversations_conversation_file", args=[attachment.pk])

    return make


@pytest.mark.parametrize(
    ("mime_type", "shown"),
    [
        ("image/png", True),
        ("audio/ogg; codecs=opus", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("application/pdf", False),
        ("", False),
    ],
)
def test_only_harmless_kinds_open_in_the_browser(admin_client, stored, mime_type, shown):
    _, address = stored(mime_type, "nota\r\nSet-Cookie: x.png")
    answer = admin_client.get(address)
    assert b"".join(answer.streaming_content) == b"<svg onload=alert(1)>"
    assert answer.headers["Content-Disposition"].startswith("inline" if shown else "attachment")
    assert answer.headers["Content-Type"] == (mime_type.partition(";")[0] if shown else "application/octet-stream")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers


def test_files_are_for_staff_with_permission(client, staff, admin_client, stored):
    attachment, address = stored("image/png", "a.png")
    assert client.get(address).status_code == 302
    assert staff().get(address).status_code == 403
    attachment.status = "refused"
    attachment.save()
    assert admin_client.get(address).status_code == 404


def test_a_lost_file_is_404(admin_client, stored):
    attachment, address = stored("image/png", "a.png")
    attachment.file.storage.delete(attachment.file.name)
    assert admin_client.get(address).status_code == 404


async def taken(client, address, **headers):
    """A file as ASGI sends it: status, headers and chunks."""
    answer = await client.get(address, headers=headers)
    return answer, [chunk async for chunk in answer] if answer.streaming else [answer.content]


def test_a_large_file_leaves_in_chunks_under_asgi(async_client, admin_user, stored, monkeypatch):
    monkeypatch.setattr(downloads, "CHUNK", 1000)
    body = bytes(range(256)) * 10
    _, address = stored("audio/ogg", "a.ogg", body)
    async_client.force_login(admin_user)
    answer, chunks = async_to_sync(taken)(async_client, address)
    assert answer.is_async
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 560]
    assert b"".join(chunks) == body
    assert (answer.headers["Content-Length"], answer.headers["Accept-Ranges"]) == ("2560", "bytes")


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_player_can_seek(client, async_client, admin_user, stored, asked, status, body, told):
    _, address = stored("video/mp4", "a.mp4", b"0123456789")
    for one in (client, async_client):
        one.force_login(admin_user)
    under_wsgi = client.get(address, headers={"Range": asked})
    under_asgi, chunks = async_to_sync(taken)(async_client, address, Range=asked)
    assert b"".join(under_wsgi) == b"".join(chunks) == body
    for answer in (under_wsgi, under_asgi):
        assert answer.status_code == status
        assert answer.headers.get("Content-Range") == told
        assert answer.headers.get("Content-Length", "0") == str(len(body))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_changed_file_is_not_continued_and_a_head_has_no_part(admin_client, stored):
    _, address = stored("video/mp4", "a.mp4", b"0123456789")
    whole = admin_client.get(address, headers={"Range": "bytes=2-4", "If-Range": '"old"'})
    assert (whole.status_code, b"".join(whole)) == (200, b"0123456789")
    with closing(admin_client.head(address, headers={"Range": "bytes=2-4"})) as answer:
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")


@pytest.mark.parametrize(
    ("mime_type", "status", "text", "repeated"),
    [
        ("audio/ogg", "stored", "[audio]", False),
        ("audio/ogg", "stored", "[audio] hello", True),
        ("audio/ogg", "refused", "[audio]", True),
        ("text/html", "stored", "[audio]", True),
    ],
)
def test_a_player_needs_no_words_in_its_stead(admin_client, conversation, stored, mime_type, status, text, repeated):
    attachment, _ = stored(mime_type, "a.ogg", status=status)
    Attachment.objects.update(kind="audio")
    Message.objects.filter(pk=attachment.message_id).update(text=text, kind="audio")
    assert (text in admin_client.get(page_of(conversation)).content.decode()) is repeated


# ── webhooks ──


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a":{"access_token":"hidden-thing","b":1}}', "application/json", '"b": 1'),
        (b"Body=Oi+mundo&auth_token=hidden-thing", "application/x-www-form-urlencoded", "Body = Oi mundo"),
        (b"\xff\xfe<script>", "", "<script>"),
        (b"[" * 50_000, "application/json", "[[["),
        (b"a=1&" * 2000, "application/x-www-form-urlencoded", "a=1"),
    ],
)
def test_bodies_are_readable_and_hide_secrets(body, content_type, expected):
    text, _ = readable(body, content_type)
    assert expected in text
    assert "hidden-thing" not in text
    assert len(text) <= CHARACTERS


def test_replay_reports_the_outcome(admin_client, staff, inbox, monkeypatch):
    event = WebhookEvent.objects.create(inbox=inbox, kind="whatsapp_cloud", body=b"<script>", outcome="unparsed")
    asked = []
    monkeypatch.setattr(webhook_pages.replay, "replay", lambda ids: asked.append(ids) or dict.fromkeys(ids, "ok"))
    address = reverse("admin:prosa_conversations_webhookevent_replay", args=[event.pk])
    answer = admin_client.post(address, follow=True)
    assert "1 webhook replayed: understood." in answer.content.decode()
    assert "<script>" not in answer.content.decode().split("prosa-body")[1]
    listed = admin_client.post(
        reverse("admin:prosa_conversations_webhookevent_changelist"),
        {"action": "replay", "_selected_action": [event.pk]},
        follow=True,
    )
    assert listed.status_code == 200
    assert asked == [[event.pk], [event.pk]]
    assert admin_client.get(address).status_code == 405
    assert staff("prosa_conversations.view_webhookevent").post(address).status_code == 403


def test_the_trouble_filter_hides_what_went_well(admin_client, inbox):
    for outcome in ("ok", "failed", "strange"):
        WebhookEvent.objects.create(inbox=inbox, kind="whatsapp_cloud", body=b"{}", outcome=outcome)
    address = reverse("admin:prosa_conversations_webhookevent_changelist")
    assert admin_client.get(address, {"outcome": "trouble"}).context["cl"].result_count == 2
    assert admin_client.get(address, {"outcome": "ok"}).context["cl"].result_count == 1
