"""What is waited for and kept for a time only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact
from prosa.conversations import retention
from prosa.conversations.acts import pending
from prosa.conversations.acts.deeds import Execution, PendingAction
from prosa.conversations.models import Conversation, Event


@pytest.fixture
def conversation(db: None) -> Conversation:
    business = Business.objects.create(name="Loja", slug="loja")
    inbox = Inbox.objects.create(business=business, kind="rest", name="R", slug="r")
    contact = Contact.objects.create(business=business)
    return Conversation.objects.create(business=business, inbox=inbox, contact=contact)


def _action(conversation: Conversation, key: str, minutes: int) -> PendingAction:
    return PendingAction.objects.create(
        conversation=conversation,
        business=conversation.business,
        contact_id=conversation.contact_id,
        key=key,
        tool="cancel_order",
        arguments={"order": "1"},
        expires_at=timezone.now() + timedelta(minutes=minutes),
    )


def test_what_nobody_confirmed_in_time_is_given_up_and_said(conversation: Conversation):
    late = _action(conversation, "a", -1)
    pending.expire()
    late.refresh_from_db()
    assert (late.status, late.arguments) == ("expired", {})
    waiting = _action(conversation, "b", 5)
    pending.expire()
    waiting.refresh_from_db()
    assert waiting.status == "proposed"
    assert [event.kind for event in Event.objects.all()] == ["action_expired"]


def test_the_ledger_is_kept_a_year(conversation: Conversation):
    for days in (10, 400):
        Execution.objects.create(
            conversation=conversation, business=conversation.business, key=str(days), tool="t", risk="write",
            started_at=timezone.now() - timedelta(days=days),
        )  # fmt: skip
    retention.forget_deeds()
    assert [row.key for row in Execution.objects.all()] == ["10"]
