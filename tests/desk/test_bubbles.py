"""The middle pane: what an open conversation is told has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from prosa.business.people import Membership
from prosa.conversations.models import Attachment, Conversation, Message
from prosa.desk import bubbles

Talk = Callable[..., Conversation]


def says(conversation: Conversation, text: str, direction: str = "in", **more: Any) -> Message:
    made = Message.objects.create(
        conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction=direction,
        author="customer" if direction == "in" else "agent", text=text, **more,
    )  # fmt: skip
    made.refresh_from_db()
    return made


def test_only_what_is_new_is_told(talk: Talk):
    conversation = talk()
    seen = bubbles.newest(conversation)
    assert bubbles.since(conversation, seen.last, timezone.now()).bubbles == []
    new = says(conversation, "mais uma")
    told = bubbles.since(conversation, seen.last, timezone.now())
    assert ([each.text for each in told.bubbles], told.last) == (["mais uma"], new.pk)


def test_a_tick_that_changed_is_told_again(talk: Talk):
    conversation = talk()
    ours = says(conversation, "olá", "out", status="sent", status_at=timezone.now() - timedelta(hours=1))
    at = timezone.now()
    assert bubbles.since(conversation, ours.pk, at).bubbles == []
    # The receipt's transaction began a moment before the page was drawn, and ended after.
    Message.objects.filter(pk=ours.pk).update(status="read", status_at=at - timedelta(seconds=1))
    assert [each.status for each in bubbles.since(conversation, ours.pk, at).bubbles] == ["read"]


def test_a_file_is_told_when_it_is_there(talk: Talk, bia: Membership, at_desk: Callable[[Membership], Client]):
    conversation = talk()
    picture = says(conversation, "", kind="image")
    file = Attachment.objects.create(message=picture, kind="image", mime_type="image/png")
    client = at_desk(bia)
    assert "data-unfinished" in client.get(f"/agent/c/{conversation.pk}").content.decode()
    address = f"/agent/c/{conversation.pk}/since?after={picture.pk}&unfinished={picture.pk},x,"
    assert "data-unfinished" in client.get(address).content.decode()
    Attachment.objects.update(status="stored", hearing="waiting")
    assert "data-unfinished" in client.get(address).content.decode()
    Attachment.objects.update(hearing="")
    told = client.get(address).content.decode()
    assert f"/agent/file/{file.pk}" in told
    assert "data-unfinished" not in told
    other = talk("Edu")
    theirs = client.get(address.replace(f"/c/{conversation.pk}/", f"/c/{other.pk}/")).content.decode()
    assert f'id="m{picture.pk}"' not in theirs


def test_a_reaction_stands_at_the_message_it_is_for(talk: Talk):
    conversation = talk()
    ours = says(conversation, "temos!", "out", provider_id="wamid.1")
    for number in range(bubbles.PAGE):
        says(conversation, str(number))
    last = bubbles.newest(conversation).last
    says(conversation, "❤", kind="reaction", reply_to="wamid.1")
    newest = says(conversation, "👍", kind="reaction", reply_to="wamid.1")
    # Told at once to whoever has it open, and still there when the page with the message is loaded later.
    [told] = bubbles.since(conversation, last, None).bubbles
    assert (told.key, told.reactions) == (f"m{ours.pk}", ["👍"])
    older = bubbles.newest(conversation, bubbles.newest(conversation).older)
    assert [each.reactions for each in older.bubbles if each.key == told.key] == [["👍"]]
    says(conversation, "", kind="reaction", reply_to="wamid.1")
    [told] = bubbles.since(conversation, newest.pk, None).bubbles
    assert told.reactions == []


def test_what_was_heard_is_shown_once(talk: Talk):
    conversation = talk()
    voice = says(conversation, "dá para trocar?", kind="audio")
    Attachment.objects.create(
        message=voice, kind="audio", status="stored", hearing="heard", transcript="dá para trocar?"
    )
    shown = bubbles.newest(conversation).bubbles[-1]
    assert (shown.text, shown.attachments[0].transcript) == ("", "dá para trocar?")
