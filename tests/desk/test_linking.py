"""Who a contact is in a register: proved, suggested, never guessed; undone, and told to tools."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from prosa import conf
from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.contacts import users
from prosa.contacts.links import Link
from prosa.contacts.models import Identity
from prosa.contracts import Candidate, CustomerRegister, Order, Profile
from prosa.contracts import Identity as Known
from prosa.conversations import linking, merging
from prosa.conversations.acts.deeds import IdentityProof
from prosa.conversations.models import Conversation, Event, State
from prosa.errors import NotAllowed
from prosa.hookspecs import hookimpl
from prosa.plugins import manager

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


class Shop:
    """A shop's system: whom it knows, and whether it answers."""

    def __init__(self) -> None:
        self.known: list[Candidate] = []
        self.asked: list[int] = []
        self.profiles: dict[str, Profile] = {}
        self.broken = False
        self.held: threading.Event | None = None

    def find(self, business: int, _identities: Sequence[Known]) -> list[Candidate]:
        self.asked.append(business)
        if self.held is not None:
            self.held.wait(20)
        if self.broken:
            raise OSError("no route")
        return self.known

    def search(self, _business: int, words: str) -> list[Candidate]:
        return [each for each in self.known if words.lower() in each.label.lower()]

    def profile(self, _business: int, key: str) -> Profile | None:
        if self.broken:
            raise OSError("no route")
        return self.profiles.get(key)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    register = CustomerRegister("shop", "Shop", made.find, made.search, made.profile)
    plugin = SimpleNamespace(customer_registers=hookimpl(specname="customer_registers")(lambda: [register]))
    manager().register(plugin, "a shop")
    linking.registers.cache_clear()
    cache.clear()
    yield made
    manager().unregister(plugin)
    linking.registers.cache_clear()
    cache.clear()


def number(conversation: Conversation) -> str:
    return Identity.objects.get(contact=conversation.contact, key__startswith="phone:").value


def token(page: str, at: int = 0) -> str:
    return re.findall(r'name="customer" value="([^"]+)"', page)[at]


def test_a_proved_number_suggests_and_a_person_links_and_undoes(shop: Shop, bia: Membership, talk: Talk, at_desk: Desk):
    conversation, client = talk("Ana"), at_desk(bia)
    shop.known = [Candidate("7", "Ana Souza", phone=f"+{number(conversation)}", about="Santos")]
    shop.profiles["7"] = Profile(
        (("Since", "2019"),),
        (Order("#1042", date(2026, 11, 16), "R$ 189,90", "on its way", "https://shop.example/1042"), Order("x", url="javascript:alert(1)")),
        "https://shop.example/7",
    )  # fmt: skip
    pane = client.get(f"/agent/c/{conversation.pk}").content.decode()
    assert f'hx-get="/agent/c/{conversation.pk}/customer"' in pane
    page = client.get(f"/agent/c/{conversation.pk}/customer").content.decode()
    assert "Are they this customer?" in page
    assert "by the number the channel proves" in page
    assert not Link.objects.exists()
    page = client.post(f"/agent/c/{conversation.pk}/customer/link", {"customer": token(page)}).content.decode()
    made = Link.objects.get()
    assert (made.key, made.how, made.user, made.automatic) == ("7", "proved_phone", bia.user, False)
    for shown in ("Ana Souza", "linked by Bia", "2019", "#1042", "R$ 189,90", "on its way", "https://shop.example/7"):
        assert shown in page
    assert "javascript" not in page
    assert shop.asked == [bia.business.pk]
    page = client.post(f"/agent/c/{conversation.pk}/customer/{made.pk}/unlink").content.decode()
    assert "Are they this customer?" in page
    made.refresh_from_db()
    assert (made.status, made.ended_by) == ("undone", bia.user)
    assert "undone already" in client.post(f"/agent/c/{conversation.pk}/customer/{made.pk}/unlink").content.decode()
    lines = list(Event.objects.filter(kind__in=("linked", "unlinked")).values_list("kind", "actor"))
    assert lines == [("linked", bia and f"user:{bia.user_id}"), ("unlinked", f"user:{bia.user_id}")]
    assert "linked to the customer Ana Souza · Bia" in client.get(f"/agent/c/{conversation.pk}").content.decode()


def test_not_this_one_is_never_suggested_again(shop: Shop, bia: Membership, talk: Talk, at_desk: Desk):
    conversation, client = talk("Ana"), at_desk(bia)
    shop.known = [Candidate("7", "Ana Souza", phone=number(conversation))]
    page = client.get(f"/agent/c/{conversation.pk}/customer").content.decode()
    page = client.post(
        f"/agent/c/{conversation.pk}/customer/link", {"customer": token(page), "not": "1"}
    ).content.decode()
    assert "Are they this customer?" not in page
    Business.objects.update(link_customers=True)
    linking.link_new()
    assert list(Link.objects.values_list("status", flat=True)) == ["declined"]
    # A person may change their mind, by searching.
    page = client.get(f"/agent/c/{conversation.pk}/customer", {"q": "ana", "in": "shop"}).content.decode()
    client.post(f"/agent/c/{conversation.pk}/customer/link", {"customer": token(page)})
    assert linking.links(conversation.contact)[0].key == "7"


def test_one_proved_is_linked_by_itself_where_the_business_wants_it(shop: Shop, business: Business, talk: Talk):
    conversation = talk("Ana")
    shop.known = [
        Candidate("7", "Ana", phone=number(conversation)),
        Candidate("9", "Somebody of her name", email="ana@exemplo.com"),
    ]
    linking.link_new()
    assert not Link.objects.exists()
    Business.objects.filter(pk=business.pk).update(link_customers=True)
    linking.link_new()
    made = Link.objects.get()
    assert (made.key, made.automatic, made.proof) == ("7", True, f"phone:{number(conversation)}")
    assert Event.objects.get(kind="linked").actor == "system"
    # Undone by a person, it stays so.
    linking.unlink(made, None)
    linking.link_new()
    assert not Link.objects.filter(status="live").exists()


def test_of_several_none_is_guessed(shop: Shop, bia: Membership, talk: Talk, at_desk: Desk):
    conversation = talk("Ana")
    shop.known = [Candidate(key, "Ana", phone=number(conversation)) for key in ("7", "8")]
    Business.objects.update(link_customers=True)
    linking.link_new()
    assert not Link.objects.exists()
    assert "Which of these are they?" in at_desk(bia).get(f"/agent/c/{conversation.pk}/customer").content.decode()


def test_a_customer_of_two_contacts_is_for_people(shop: Shop, bia: Membership, talk: Talk):
    ana, other = talk("Ana"), talk("Ana 2")
    linking.link(ana.contact, "shop", "7", "Ana", bia.user)
    with pytest.raises(NotAllowed):
        linking.link(other.contact, "shop", "7", "Ana", None)
    with pytest.raises(NotAllowed, match="linked already"):
        linking.link(ana.contact, "shop", "8", "Ana", bia.user)
    linking.link(other.contact, "shop", "7", "Ana", bia.user)
    assert Link.objects.count() == 2


def test_what_was_not_proved_proves_nothing(shop: Shop, talk: Talk):
    """A number some other channel names, an address nobody sent a code to, a proof that failed."""
    conversation = talk("Ana")
    contact = conversation.contact
    Identity.objects.create(business=contact.business, contact=contact, key="email:ana@exemplo.com")
    Identity.objects.filter(contact=contact).update(created_at=timezone.now() - timezone.timedelta(days=1))
    assert linking.proved(contact) == {f"phone:{number(conversation)}": "proved_phone"}
    proof = IdentityProof.objects.create(
        conversation=conversation, business=contact.business, contact_id=contact.pk, way="email_code", status="failed", expires_at=timezone.now()
    )  # fmt: skip
    assert "email:ana@exemplo.com" not in linking.proved(contact)
    IdentityProof.objects.filter(pk=proof.pk).update(status="proved")
    assert linking.proved(contact)["email:ana@exemplo.com"] == "proved_email"
    # Proved later, it is linked later.
    Conversation.objects.update(created_at=timezone.now() - timezone.timedelta(hours=1))
    Business.objects.update(link_customers=True)
    shop.known = [Candidate("7", "Ana", email="ANA@exemplo.com")]
    linking.link_new()
    assert Link.objects.get().how == "proved_email"
    conversation.inbox.kind = "rest"
    conversation.inbox.save()
    assert set(linking.proved(contact)) == {"email:ana@exemplo.com"}


def test_a_register_that_fails_or_hangs_holds_nobody_back(
    shop: Shop, bia: Membership, talk: Talk, at_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    conversation, client = talk("Ana"), at_desk(bia)
    shop.broken = True
    assert "Shop did not answer" in client.get(f"/agent/c/{conversation.pk}/customer").content.decode()
    linking.link(conversation.contact, "shop", "7", "Ana Souza", bia.user)
    page = client.get(f"/agent/c/{conversation.pk}/customer").content.decode()
    assert "Ana Souza" in page
    assert "could not be asked" in page
    other = talk("Rui")
    shop.broken, shop.held = False, threading.Event()
    monkeypatch.setattr(linking, "PATIENCE_S", 0.05)
    assert "Shop did not answer" in client.get(f"/agent/c/{other.pk}/customer").content.decode()
    shop.held.set()


def test_what_is_linked_is_what_was_shown_to_whoever_may(
    shop: Shop, bia: Membership, member: Any, talk: Talk, at_desk: Desk, elsewhere: Business
):
    ana, rui, theirs = talk("Ana"), talk("Rui"), talk("X", of=elsewhere)
    shop.known = [Candidate("7", "Ana", phone=number(ana))]
    client, viewer = at_desk(bia), at_desk(member("Vera", Role.VIEWER))
    given = token(client.get(f"/agent/c/{ana.pk}/customer").content.decode())
    for address, customer in ((ana, ""), (ana, given[:-2] + "xx"), (rui, given), (theirs, given)):
        answer = client.post(f"/agent/c/{address.pk}/customer/link", {"customer": customer})
        assert answer.status_code == 404
    page = viewer.get(f"/agent/c/{ana.pk}/customer").content.decode()
    assert "Are they this customer?" in page
    assert "<form" not in page
    assert viewer.post(f"/agent/c/{ana.pk}/customer/link", {"customer": given}).status_code == 403
    made = linking.link(theirs.contact, "shop", "7", "X", None)
    assert client.post(f"/agent/c/{ana.pk}/customer/{made.pk}/unlink").status_code == 404
    assert Link.objects.count() == 1


def test_users_are_a_register_only_where_the_host_says_so(bia: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch):
    assert users.customer_registers() == []
    monkeypatch.setenv("PROSA_LINK_USERS", "1")
    conf.settings.cache_clear()
    try:
        (register,) = users.customer_registers()
    finally:
        monkeypatch.undo()
        conf.settings.cache_clear()
    ana = User.objects.create(username="ana", email="Ana@exemplo.com", first_name="Ana")
    User.objects.create(username="off", email="ana@exemplo.com", is_active=False)
    found = list(register.find(1, [Known("email", "ana@exemplo.com", ""), Known("phone", "5511", "")]))
    assert [(each.key, each.label, each.email) for each in found] == [(str(ana.pk), "Ana", "Ana@exemplo.com")]
    assert register.search is None


def test_links_go_with_a_merge_and_come_back(shop: Shop, bia: Membership, talk: Talk):
    ana, other = talk("Ana"), talk("Ana 2", State.RESOLVED)
    own, theirs = f"phone:{number(ana)}", f"phone:{number(other)}"
    linking.link(other.contact, "shop", "7", "Ana", bia.user)
    made = merging.merge(ana.contact, other.contact, bia.user)
    assert linking.links(ana.contact)[0].key == "7"
    later = linking.link(ana.contact, "erp", "1", "Ana", bia.user, proof=own)
    since = linking.link(ana.contact, "crm", "2", "Ana", bia.user, proof=theirs)
    merging.undo(made, bia.user)
    assert {each.kind for each in linking.links(ana.contact)} == {later.kind}
    assert {each.kind for each in linking.links(other.contact)} == {"shop", since.kind}
