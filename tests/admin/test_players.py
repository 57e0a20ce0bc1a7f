"""Voice notes on the conversation's page: a player, its words, and a copy that every browser plays."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone

from prosa.agents import audio
from prosa.conversations.models import Attachment, Message
from prosa.simulator.fake_speech import voice_note

NOTE = voice_note("Vocês abrem no domingo?")


@pytest.fixture(autouse=True)
def folder(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def note(conversation):
    def make(data=NOTE, **more):
        message = Message.objects.create(
            conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="in",
            author="customer", kind="audio", text=more.get("transcript") or "[voice message]", status="received",
        )  # fmt: skip
        made = Attachment(
            message=message, kind="audio", mime_type="audio/ogg", voice=True, status="stored", size=len(data), **more
        )
        made.file.save(f"t/{timezone.now():%f}.ogg", ContentFile(data), save=True)
        return made

    return make


def page(client, conversation):
    return client.get(reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk])).content.decode()


def address(attachment):
    return reverse("admin:prosa_conversations_conversation_file", args=[attachment.pk])


def test_the_transcript_stands_under_a_labelled_player_and_is_found(admin_client, conversation, note):
    made = note(hearing="heard", transcript="Vocês abrem no domingo?")
    shown = page(admin_client, conversation)
    assert f'<source src="{address(made)}" type="audio/ogg">' in shown
    assert f'<source src="{address(made)}?copy=mp3" type="audio/mpeg">' in shown
    assert 'aria-label="' in shown.partition("<audio")[2].partition(">")[0]
    assert shown.count("Vocês abrem no domingo?") == 1
    found = admin_client.get(reverse("admin:prosa_conversations_conversation_changelist"), {"q": "abrem no domingo"})
    assert reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk]) in found.content.decode()


def test_why_nothing_could_be_heard_is_told(admin_client, conversation, note):
    note(hearing="unheard", error="No words can be heard in it.")
    assert "No words can be heard in it." in page(admin_client, conversation)


def test_a_copy_is_made_once_and_plays_in_parts(admin_client, note):
    made = note()
    whole = b"".join(admin_client.get(address(made), {"copy": "mp3"}).streaming_content)
    assert audio.real_type(whole) == "audio/mpeg"
    assert default_storage.exists(f"{made.file.name}.mp3")
    answer = admin_client.get(f"{address(made)}?copy=mp3", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (206, "audio/mpeg")
    assert b"".join(answer.streaming_content) == whole[10:20]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert len(default_storage.listdir("t")[1]) == 2


@pytest.mark.parametrize("data", [b"rubbish" * 99, b""])
def test_what_cannot_be_decoded_has_no_copy(admin_client, note, data):
    assert admin_client.get(address(note(data)), {"copy": "mp3"}).status_code == 404


def test_a_copy_is_for_staff_with_permission(client, staff, note):
    made = note()
    assert client.get(address(made), {"copy": "mp3"}).status_code == 302
    assert staff().get(address(made), {"copy": "mp3"}).status_code == 403


def test_what_was_deleted_says_so(admin_client, conversation, note):
    made = note(transcript="Custa dez reais.")
    Attachment.objects.filter(pk=made.pk).update(status="expired", file="")
    shown = page(admin_client, conversation)
    assert "<audio" not in shown
    assert "Custa dez reais." in shown
