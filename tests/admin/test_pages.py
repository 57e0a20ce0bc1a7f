"""Every page of the admin opens, to those who may."""

from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from prosa.channels.models import ApiKey
from prosa.conversations.acts.deeds import Execution
from prosa.conversations.lanes import Dispatch
from prosa.conversations.models import Message, WebhookEvent
from prosa.knowledge.models import ApprovedAnswer

PROSA = [model for model in admin.site._registry if model._meta.app_label.startswith("prosa_")]


def test_what_this_issue_needs_is_there():
    assert {model.__name__ for model in PROSA} == {
        "Business", "Contact", "Inbox", "ApiKey", "ApprovedAnswer", "Conversation", "Message", "Dispatch", "WebhookEvent",
        "Guideline", "Specialist", "Budget", "ModelPrice", "ModelQuota", "Source", "Document", "Gap", "Suggestion", "Execution",
        "Membership", "Team",
    }  # fmt: skip


@pytest.fixture
def rows(conversation, inbox, business):
    from django.utils import timezone

    WebhookEvent.objects.create(inbox=inbox, kind="whatsapp_cloud", body=b"{}", outcome="strange")
    Message.objects.create(
        conversation=conversation,
        business=business,
        inbox=inbox,
        direction="out",
        author="bot",
        text="x",
        status="failed",
    )
    Dispatch.objects.create(
        conversation=conversation, lane=2, dead_at=timezone.now(), last_error="Bearer abcdefghijklmnop"
    )
    ApprovedAnswer.objects.create(business=business, question="q", answer="a" * 200)
    ApiKey.issue(inbox, "site")
    Execution.objects.create(
        conversation=conversation, business=business, key="k", tool="cancel_order", risk="destructive", status="unknown"
    )


@pytest.mark.parametrize("model", [*PROSA, User], ids=lambda model: model.__name__)
def test_lists_and_forms_open(admin_client, rows, model):
    options = model._meta
    assert (
        admin_client.get(
            reverse(f"admin:{options.app_label}_{options.model_name}_changelist"), {"q": "maria 11"}
        ).status_code
        == 200
    )
    for row in model.objects.all()[:1]:
        answer = admin_client.get(
            reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[row.pk]), follow=True
        )
        assert answer.status_code == 200
        assert b"Traceback" not in answer.content


class Parts(HTMLParser):
    """Which of the elements that matter here stands within which; each must be closed in its turn."""

    TAGS = ("div", "main", "header", "form", "footer")

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        if tag in self.TAGS:
            self.open.append(dict(attrs).get("id") or tag)
            self.found.append(list(self.open))

    def handle_endtag(self, tag):
        if tag in self.TAGS:
            self.open.pop()


@pytest.mark.parametrize("model", [*PROSA, User], ids=lambda model: model.__name__)
def test_a_page_says_where_its_main_part_is(admin_client, rows, model):
    options = model._meta
    name = f"admin:{options.app_label}_{options.model_name}"
    pages = [reverse(f"{name}_changelist")] + [
        reverse(f"{name}_change", args=[row.pk]) for row in model.objects.all()[:1]
    ]
    for page in pages:
        seen = Parts()
        seen.feed(admin_client.get(page, follow=True).content.decode())
        (main,) = [way for way in seen.found if way[-1] == "main" and "page" in way and way[-2] == "main"]
        (content,) = [way for way in seen.found if way[-1] == "content"]
        assert content[: len(main)] == main
        assert seen.open == []


@pytest.mark.parametrize("model", PROSA, ids=lambda model: model.__name__)
def test_strangers_and_staff_without_permission_see_nothing(client, staff, rows, model):
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert "/login/" in client.get(address).headers["Location"]
    assert staff().get(address).status_code == 403


def test_the_first_page_counts_what_there_is(admin_client, rows, inbox):
    inbox.trouble = "(190) Token expired"
    inbox.save()
    page = admin_client.get(reverse("admin:index"))
    shown = {figure.label: figure.value for figure in page.context["figures"]}
    assert shown == {
        "Conversations today": 1,
        "Messages today": 1,
        "Waiting for a person": 0,
        "Undelivered, 7 days": 1,
        "Dead letters": 1,
        "Answers of unknown price, 7 days": 0,
        "Unanswered questions": 0,
        "Suggested answers": 0,
        "Sources not read": 0,
        "Spent today": "US$ 0.00",
    }
    assert "(190) Token expired" in page.content.decode()
    assert page.context["days"][-1].sent == 1


def test_the_side_bar_counts_trouble_and_is_silent_without(admin_client, conversation):
    assert "prosa-alarm" not in admin_client.get(reverse("admin:index")).content.decode()
    type(conversation).objects.update(state="awaiting_agent")
    assert '<span class="prosa-alarm">1</span>' in admin_client.get(reverse("admin:index")).content.decode()


def test_the_first_page_tells_nothing_to_staff_without_permission(staff, rows):
    page = staff().get(reverse("admin:index"))
    assert page.status_code == 200
    assert "figures" not in page.context


def test_dead_letters_hide_secrets_and_come_back_to_life(admin_client, rows):
    address = reverse("admin:prosa_conversations_dispatch_changelist")
    assert b"abcdefghijklmnop" not in admin_client.get(address).content
    dead = Dispatch.objects.get()
    answer = admin_client.post(address, {"action": "revive", "_selected_action": [dead.pk]}, follow=True)
    assert "1 dead letter is back at work." in answer.content.decode()
    dead.refresh_from_db()
    assert dead.dead_at is None
    assert dead.run_at is not None


def test_nothing_is_added_or_deleted_by_hand(admin_client, rows):
    for name in ("conversation", "message", "dispatch", "webhookevent"):
        assert admin_client.get(reverse(f"admin:prosa_conversations_{name}_add")).status_code == 403
    row = WebhookEvent.objects.get()
    assert (
        admin_client.post(
            reverse("admin:prosa_conversations_webhookevent_delete", args=[row.pk]), {"post": "yes"}
        ).status_code
        == 403
    )


def test_times_are_the_owners(admin_client, conversation):
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from prosa.business.models import Business
    from prosa.conversations.models import Conversation

    Business.objects.update(timezone="Asia/Tokyo")
    Conversation.objects.update(last_inbound_at=datetime(2026, 3, 1, 20, 30, tzinfo=ZoneInfo("UTC")))
    page = admin_client.get(reverse("admin:prosa_conversations_conversation_changelist")).content.decode()
    assert "March 2, 2026, 5:30 a.m." in page
    Business.objects.update(timezone="Not/AZone")
    assert admin_client.get(reverse("admin:index")).status_code == 200
    assert (
        admin_client.get(reverse("admin:prosa_conversations_conversation_change", args=[conversation.pk])).status_code
        == 200
    )
