"""What failed, or may not have arrived, is written or sent again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from prosa.business.people import Membership
from prosa.conversations import thread
from prosa.conversations.models import Attachment, Conversation, Message, State
from prosa.desk import notices, schedule
from prosa.desk.models import Scheduled
from prosa.desk.models_notices import Notice, Outlet, Way

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


def test_the_writer_is_told_of_a_message_for_later_that_could_not_be_sent(bia: Membership, rui: Membership, talk: Talk):
    conversation = talk(state=State.AGENT_ACTIVE)
    for each in (bia, rui):
        Outlet.objects.create(business=bia.business, member=each, way=Way.EMAIL)
    row = Scheduled.objects.create(
        conversation=conversation, business=bia.business, member=bia, text="Até já", send_at=timezone.now()
    )
    Conversation.objects.filter(pk=conversation.pk).update(last_inbound_at=timezone.now() - timedelta(days=2))
    schedule.send(row.pk)
    row.refresh_from_db()
    assert row.status == "failed"
    for _twice in range(2):
        notices.hear(conversation.pk)
    notice = Notice.objects.get()
    assert (notice.kind, notice.outlet.member) == ("unsent", bia)
    lines = thread.in_words(conversation, list(conversation.events.all())).values()
    assert any("could not be sent" in line and "Bia" in line for line in lines)
    true, moot = notices._look(notice.outlet)
    assert (len(true), moot) == (1, [])
    assert "Your message for later was not sent" in true[0].what
    schedule.take_back(conversation, row.pk)
    assert notices._look(notice.outlet) == ([], [notice.pk])
