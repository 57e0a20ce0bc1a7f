"""Two people at the desk of one shop, and a stranger's shop beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from prosa.business.models import Business, Guideline
from prosa.business.people import Membership, Role
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.conversations.models import Conversation, Message, State


def shop(slug: str) -> Business:
    made = Business.objects.create(name=slug.title(), slug=slug)
    Guideline.objects.create(business=made, text="Seja gentil.")
    return made


@pytest.fixture
def business(db: None) -> Business:
    return shop("loja")


@pytest.fixture
def elsewhere(db: None) -> Business:
    return shop("vizinha")


@pytest.fixture
def member(business: Business) -> Callable[..., Membership]:
    """Make a member by first name, with a role."""

    def make(name: str, role: str = Role.AGENT, of: Business | None = None) -> Membership:
        user, _made = User.objects.get_or_create(username=name.lower(), defaults={"first_name": name})
        return Membership.objects.create(business=of or business, user=user, role=role)

    return make


@pytest.fixture
def bia(member: Callable[..., Membership]) -> Membership:
    return member("Bia")


@pytest.fixture
def rui(member: Callable[..., Membership]) -> Membership:
    return member("Rui")


@pytest.fixture
def at_desk() -> Callable[[Membership], Client]:
    """A browser in which a member is signed in."""

    def sign_in(member: Membership) -> Client:
        client = Client()
        client.force_login(member.user)
        return client

    return sign_in


@pytest.fixture
def talk(business: Business) -> Callable[..., Conversation]:
    """Make a conversation with a customer who has just written."""

    def make(name: str = "Ana", state: str = State.AWAITING_AGENT, of: Business | None = None) -> Conversation:
        mine = of or business
        inbox, _made = Inbox.objects.get_or_create(
            business=mine,
            slug=f"wa-{mine.slug}",
            defaults={"kind": "whatsapp_cloud", "name": "WhatsApp", "routing_key": mine.slug, "credentials": {}},
        )
        contact = Contact.objects.create(business=mine, name=name)
        Identity.objects.create(business=mine, contact=contact, key=f"phone:55119{contact.pk:08d}")
        made = Conversation.objects.create(
            business=mine, inbox=inbox, contact=contact, state=state, last_inbound_at=timezone.now()
        )
        said = Message.objects.create(
            conversation=made, business=mine, inbox=inbox, direction="in", author="customer", text=f"oi, sou {name}"
        )
        Conversation.objects.filter(pk=made.pk).update(last_inbound_id=said.pk, unread=1)
        made.refresh_from_db()
        return made

    return make
