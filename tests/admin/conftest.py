import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from prosa.business.models import Business, Guideline
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.conversations.models import Conversation

SECRET = "EAAverysecretaccesstoken"


@pytest.fixture
def business(db):
    made = Business.objects.create(name="Doces da Ana", slug="doces")
    Guideline.objects.create(business=made, text="Seja gentil.")
    return made


@pytest.fixture
def inbox(business):
    return Inbox.objects.create(
        business=business,
        kind="whatsapp_cloud",
        name="WhatsApp",
        slug="loja",
        routing_key="111",
        credentials={
            "token": SECRET,
            "phone_number_id": "111",
            "app_secret": f"{SECRET}-app",
            "app_secret_previous": f"{SECRET}-old",
        },
    )


@pytest.fixture
def conversation(inbox):
    contact = Contact.objects.create(business=inbox.business, name="Maria <b>")
    Identity.objects.create(
        business=inbox.business, contact=contact, key="phone:5511987654321", address="5511987654321"
    )
    return Conversation.objects.create(
        business=inbox.business, inbox=inbox, contact=contact, last_inbound_at=timezone.now()
    )


@pytest.fixture
def staff(client, db):
    """A client signed in as staff with exactly these permissions (``app.codename``)."""

    def sign_in(*permissions):
        user = User.objects.create_user("bia", password="not-used", is_staff=True)
        for name in permissions:
            app, _, codename = name.partition(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client.force_login(user)
        return client

    return sign_in
