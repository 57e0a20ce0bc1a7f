"""What failed, or may not have arrived, is written or sent again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client

from prosa.business.people import Membership
from prosa.conversations.models import Attachment, Conversation, Message, State

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


def ours(conversation: Conversation, status: str, text: str = "Seu pedido saiu", **more: Any) -> Message:
    return Message.objects.create(
        conversation=conversation, business=conversation.business, inbox=conversation.inbox, direction="out",
        author="agent", text=text, status=status, error="O canal recusou", **more,
    )  # fmt: skip


def test_a_failed_bubble_offers_to_write_it_again_and_an_unsure_one_to_send_it(
    bia: Membership, at_desk: Desk, talk: Talk
):
    conversation, client = talk(state=State.AGENT_ACTIVE), at_desk(bia)
    failed, unsure, sent = (ours(conversation, status) for status in ("failed", "unconfirmed", "sent"))
    page = client.get(f"/agent/c/{conversation.pk}").content.decode()
    drawn = {each.pk: page.partition(f'id="m{each.pk}"')[2].partition("</li>")[0] for each in (failed, unsure, sent)}
    assert 'data-write-again="Seu pedido saiu"' in drawn[failed.pk]
    assert "may have arrived" in drawn[unsure.pk]
    assert "again" not in drawn[sent.pk]
    address = f"/agent/c/{conversation.pk}/again/"
    assert client.post(f"{address}{sent.pk}").status_code == 422
    assert client.post(f"{address}{unsure.pk}").status_code == 204
    assert client.post(f"{address}{unsure.pk}").status_code == 422  # once is enough
    new = Message.objects.get(key=f"again:{unsure.pk}")
    assert (new.text, new.sender_id, new.status) == ("Seu pedido saiu", bia.pk, "queued")
    customers = conversation.messages.get(direction="in")
    assert client.post(f"{address}{customers.pk}").status_code == 404


@pytest.mark.parametrize("kept", [True, False])
def test_a_file_is_sent_again_where_it_is_kept(
    bia: Membership, at_desk: Desk, talk: Talk, settings: Any, tmp_path: Path, kept: bool
):
    settings.MEDIA_ROOT = tmp_path
    conversation, client = talk(state=State.AGENT_ACTIVE), at_desk(bia)
    failed = ours(conversation, "failed", "", kind="document")
    file = Attachment(message=failed, kind="document", mime_type="text/plain", filename="nota.txt", size=5)
    if kept:
        file.status = "stored"
        file.file.save("nota.txt", ContentFile(b"texto"), save=False)
    file.save()
    answer = client.post(f"/agent/c/{conversation.pk}/again/{failed.pk}")
    if not kept:
        assert answer.status_code == 422
        assert "not kept here" in answer.content.decode()
        return
    assert answer.status_code == 204
    new = Message.objects.get(key=f"again:{failed.pk}")
    sent = new.attachments.get()
    assert Path(sent.file.path).read_bytes() == b"texto"
    assert (new.kind, sent.filename) == ("document", "nota.txt")
