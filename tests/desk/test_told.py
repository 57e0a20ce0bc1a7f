"""Who may still be told of a customer at the moment a notice leaves, and what cannot be sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from prosa.business.people import Membership, Role
from prosa.conversations import ownership
from prosa.conversations.models import Conversation, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.desk import notices, webhooks
from prosa.desk.models_notices import Notice, Outlet
from prosa.errors import NotAllowed

Talk = Callable[..., Conversation]


@pytest.fixture
def mailed(member: Callable[..., Membership]) -> Membership:
    one = member("Ada", Role.ADMIN)
    one.user.email = "ada@example.com"
    one.user.save()
    return one


def waits(talk: Talk, **wish: Any) -> Conversation:
    conversation = talk(state=State.BOT)
    ownership.act(conversation.pk, Wish(Move.HAND_OFF, "bot", {"reason": "keyword"}, **wish))
    return conversation


def tell() -> int:
    """Everything that is ripe; how many mails."""
    Notice.objects.update(created_at=timezone.now() - timedelta(hours=1))
    Outlet.objects.update(sent_at=None)
    mail.outbox.clear()
    for outlet_id in [*[pk for pk, _lane in notices.ripe()], *Outlet.objects.values_list("pk", flat=True)]:
        notices.tell(outlet_id)
    return len(mail.outbox)


def gone(one: Membership, how: str) -> None:
    if how == "switched off":
        one.user.is_active = False
        one.user.save()
    else:
        change = {"left_at": timezone.now()} if how == "left" else {"role": how}
        Membership.objects.filter(pk=one.pk).update(**change)


@pytest.mark.parametrize("how", ["left", "switched off", "viewer"])
def test_who_works_here_no_more_is_told_nothing(mailed: Membership, talk: Talk, how: str):
    notices.hear(waits(talk).pk)
    assert Notice.objects.count() == 1
    gone(mailed, how)
    assert tell() == 0
    # Neither of what happened before nor of what happens now.
    notices.hear(waits(talk).pk)
    assert Notice.objects.count() == 1
    # Nor at the very last moment.
    outlet = Outlet.objects.select_related("business", "team", "member__user").get()
    assert notices._look(outlet)[0] == []


def test_what_nobody_took_is_told_to_administrators_of_now(mailed: Membership, talk: Talk):
    conversation = waits(talk)
    conversation.events.create(business=conversation.business, kind="escalated", actor="system")
    notices.hear(conversation.pk)
    Notice.objects.exclude(kind="escalated").delete()
    assert Notice.objects.count() == 1
    gone(mailed, Role.AGENT)
    assert tell() == 0


def test_a_mail_that_cannot_be_written_is_a_lasting_trouble(mailed: Membership, talk: Talk):
    notices.hear(waits(talk).pk)
    mailed.user.email = "ada@exam ple.com\nBcc: x@example.com"
    mailed.user.save()
    assert tell() == 0
    outlet = Outlet.objects.get()
    assert (outlet.error, outlet.next_at) == ("bad-address", None)
    assert Notice.objects.get().status == "failed"
    assert "address" in webhooks.explain(outlet.error)
    assert [each.subject for each in notices.doctor_checks()]
    assert notices.ripe() == []


@pytest.mark.parametrize("url", ["https://ｇateway.internal/", "https://gateway。internal/"])
def test_other_scripts_do_not_name_the_installations_own_hosts(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "configured", lambda: frozenset({("gateway.internal", 443)}))
    with pytest.raises(NotAllowed):
        webhooks.check(url)
