"""Two contacts become one person, and two again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.channels.models import Inbox
from prosa.contacts.links import Link
from prosa.contacts.models import Contact, Fact, Identity, Merge
from prosa.conversations import merging
from prosa.conversations.acts.deeds import IdentityProof
from prosa.conversations.models import Conversation, Event, State
from prosa.desk.models import AuditEntry
from prosa.errors import NotAllowed

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]


def picture(business: Business) -> dict[str, Any]:
    """All that merging may touch, but for its own records."""
    return {
        "contacts": list(Contact.objects.filter(business=business).order_by("pk").values()),
        "identities": list(Identity.objects.filter(business=business).order_by("pk").values()),
        "conversations": list(Conversation.objects.filter(business=business).order_by("pk").values()),
        "facts": list(Fact.objects.filter(business=business).order_by("pk").values()),
        "links": list(Link.objects.filter(business=business).order_by("pk").values()),
        "proofs": list(IdentityProof.objects.filter(business=business).order_by("pk").values()),
    }


def inboxes(business: Business) -> list[Inbox]:
    return [
        Inbox.objects.get_or_create(
            business=business, slug=f"{business.slug}-{n}", defaults={"kind": "rest", "name": f"I{n}", "routing_key": f"{business.slug}{n}", "credentials": {}}
        )[0]
        for n in range(2)
    ]  # fmt: skip


PERSON = st.fixed_dictionaries(
    {
        "open": st.sampled_from([(), (0,), (1,), (0, 1)]),
        "ended": st.integers(0, 2),
        "facts": st.sets(st.sampled_from("abc")),
        "linked": st.sets(st.sampled_from(["erp", "shop"])),
        "out": st.booleans(),
        "blocked": st.booleans(),
        "name": st.sampled_from(["", "Ana"]),
    }
)


@given(
    people=st.lists(PERSON, min_size=3, max_size=3),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4),
)
@settings(max_examples=8, deadline=None)
def _back_to_the_start(business: Business, people: list[dict[str, Any]], steps: list[tuple[int, int]]) -> None:
    with transaction.atomic():
        rooms, made = inboxes(business), []
        for number, person in enumerate(people):
            at = timezone.now() - timedelta(days=number)
            contact = Contact.objects.create(
                business=business, name=person["name"], opted_out_at=at if person["out"] else None, blocked_at=at if person["blocked"] else None
            )  # fmt: skip
            for kind in ("phone", "email"):
                Identity.objects.create(business=business, contact=contact, key=f"{kind}:{contact.pk}")
            talks = [
                Conversation.objects.create(business=business, inbox=rooms[place], contact=contact, state=state)
                for place, state in [(each, State.BOT) for each in person["open"]] + [(0, State.RESOLVED)] * person["ended"]
            ]  # fmt: skip
            for text in sorted(person["facts"]):
                told_in = talks[0].pk if talks else None
                Fact.objects.create(business=business, contact=contact, text=text, key=text, conversation_id=told_in)
            for kind in sorted(person["linked"]):
                Link.objects.create(business=business, contact=contact, kind=kind, key=str(number), label="x")
            if talks:
                IdentityProof.objects.create(
                    conversation=talks[0], business=business, contact_id=contact.pk, way="x", expires_at=at
                )
            made.append(contact)
        start, done = picture(business), []
        for kept, merged in steps:
            try:
                done.append(merging.merge(made[kept], made[merged], None))
            except NotAllowed:
                continue
            for row in Identity.objects.filter(business=business):
                assert row.contact in merging.standing(business)
        for each in reversed(done):
            merging.undo(each, None)
        assert picture(business) == start
        transaction.set_rollback(True)


def test_merged_and_undone_all_is_as_it_was(business: Business):
    _back_to_the_start(business)


def test_what_one_has_is_the_others(bia: Membership, talk: Talk):
    ana, other = talk("Ana", State.BOT), talk("Ana S.", State.RESOLVED)
    Fact.objects.create(business=bia.business, contact=ana.contact, text="Vegana", key="vegana")
    for text in ("Vegana", "Mora em Santos"):
        Fact.objects.create(business=bia.business, contact=other.contact, text=text, key=text.lower())
    made = merging.merge(ana.contact, other.contact, bia.user)
    assert made.moved == {"identities": 1, "conversations": 1, "facts": 1}
    assert set(ana.contact.identities.values_list("key", flat=True)) == {
        f"phone:55119{each.contact_id:08d}" for each in (ana, other)
    }
    other.refresh_from_db()
    assert other.contact_id == ana.contact_id
    assert set(ana.contact.facts.values_list("text", flat=True)) == {"Vegana", "Mora em Santos"}
    for conversation, called in ((ana, "Ana S."), (other, "Ana")):
        line = Event.objects.get(conversation=conversation, kind="merged")
        assert (line.actor, line.data) == (bia and f"user:{bia.user_id}", {"contact": called})


def test_two_open_conversations_on_one_inbox_are_refused(bia: Membership, talk: Talk):
    ana, other = talk("Ana", State.BOT), talk("Ana S.", State.AGENT_ACTIVE)
    before = picture(bia.business)
    with pytest.raises(NotAllowed, match=r"Both have an open conversation on .*WhatsApp"):
        merging.merge(ana.contact, other.contact, bia.user)
    assert picture(bia.business) == before


def test_an_opt_out_of_either_is_one_and_what_came_between_stays_with_both(bia: Membership, talk: Talk):
    ana, other = talk("Ana", State.BOT).contact, talk("Ana S.", State.RESOLVED).contact
    Contact.objects.filter(pk=other.pk).update(opted_out_at=timezone.now())
    made = merging.merge(ana, other, bia.user)
    ana.refresh_from_db()
    assert ana.opted_out_at is not None
    Contact.objects.filter(pk=ana.pk).update(blocked_at=timezone.now())
    merging.undo(made, bia.user)
    ana.refresh_from_db()
    other.refresh_from_db()
    assert (ana.opted_out_at, other.opted_out_at is not None) == (None, True)
    assert ana.blocked_at is not None
    assert other.blocked_at is not None


def test_chains_are_undone_from_the_end(bia: Membership, talk: Talk):
    ana, bela, caio = (talk(name, State.RESOLVED).contact for name in ("Ana", "Bela", "Caio"))
    first = merging.merge(ana, bela, bia.user)
    second = merging.merge(caio, ana, bia.user)
    assert caio.identities.count() == 3
    with pytest.raises(NotAllowed, match="merged with Caio later"):
        merging.undo(first, bia.user)
    with pytest.raises(NotAllowed, match="merged with somebody else"):
        merging.merge(talk("Duda", State.RESOLVED).contact, ana, bia.user)
    merging.undo(second, bia.user)
    assert (ana.identities.count(), caio.identities.count()) == (2, 1)
    with pytest.raises(NotAllowed, match="undone already"):
        merging.undo(second, bia.user)
    merging.undo(first, bia.user)
    assert {each.identities.count() for each in (ana, bela, caio)} == {1}


def test_what_is_erased_of_one_is_erased_of_both(bia: Membership, talk: Talk, at_desk: Desk):
    ana, other = talk("Ana", State.BOT), talk("Ana S.", State.RESOLVED)
    for contact in (ana.contact, other.contact):
        Fact.objects.create(business=bia.business, contact=contact, text="Vegana", key="vegana")
    made = merging.merge(ana.contact, other.contact, bia.user)
    fact = ana.contact.facts.get()
    assert at_desk(bia).post(f"/agent/c/{ana.pk}/forget/{fact.pk}").status_code == 200
    merging.undo(made, bia.user)
    assert not Fact.objects.exists()
    merging.merge(ana.contact, other.contact, bia.user)
    Contact.objects.get(pk=ana.contact_id).delete()
    assert not Contact.objects.filter(business=bia.business).exists()


# ── at the desk ──


def test_an_agent_finds_the_other_looks_merges_and_undoes(bia: Membership, talk: Talk, at_desk: Desk):
    ana, other, client = talk("Ana Souza", State.BOT), talk("Ána  S.", State.RESOLVED), at_desk(bia)
    Identity.objects.create(business=bia.business, contact=other.contact, key="email:ana@exemplo.com")
    phone = Identity.objects.get(contact=other.contact, key__startswith="phone:").value
    address = f"/agent/c/{ana.pk}/merge"
    assert address in client.get(f"/agent/c/{ana.pk}").content.decode()
    for asked in ("ana s", phone, f"+{phone[:4]} {phone[4:9]}-{phone[9:]}", "ANA@exemplo"):
        page = client.get(address, {"q": asked}).content.decode()
        assert f"?with={other.contact_id}&amp;" in page, asked
        assert f"?with={ana.contact_id}&" not in page
    assert "?with=" not in client.get(address, {"q": "% _"}).content.decode()
    page = client.get(address, {"with": other.contact_id}).content.decode()
    assert "2 ways they are known" in page
    assert "1 conversation," in page
    assert client.post(address, {"with": other.contact_id}).status_code == 302
    pane = client.get(f"/agent/c/{ana.pk}/contact").content.decode()
    assert "ana@exemplo.com" in pane
    assert "merged with the contact Ána  S. · Bia" in pane
    made = Merge.objects.get()
    assert (made.user, AuditEntry.objects.latest("pk").kind) == (bia.user, "contacts_merged")
    # Twice is once.
    assert client.post(address, {"with": other.contact_id}).status_code == 404
    undo = f"{address}/{made.pk}/undo"
    assert undo in pane
    assert "ana@exemplo.com" not in client.post(undo).content.decode()
    assert "undone already" in client.post(undo).content.decode()
    assert AuditEntry.objects.latest("pk").kind == "contacts_unmerged"


def test_what_cannot_be_merged_is_said_before(bia: Membership, talk: Talk, at_desk: Desk):
    ana, other, client = talk("Ana", State.BOT), talk("Ana", State.BOT), at_desk(bia)
    address = f"/agent/c/{ana.pk}/merge"
    # Of the same name, without asking.
    assert f"?with={other.contact_id}" in client.get(address).content.decode()
    page = client.get(address, {"with": other.contact_id}).content.decode()
    assert "Both have an open conversation" in page
    answer = client.post(address, {"with": other.contact_id})
    assert (answer.status_code, Merge.objects.count()) == (409, 0)
    for wrong in ("", "0", "x", "9" * 30, str(ana.contact_id)):
        assert client.post(address, {"with": wrong}).status_code in (200, 404, 409)


def test_merging_is_for_agents_and_within_one_business(
    bia: Membership, member: Any, talk: Talk, at_desk: Desk, elsewhere: Business
):
    ana, theirs = talk("Ana", State.BOT), talk("Ana", State.RESOLVED, of=elsewhere)
    address, viewer = f"/agent/c/{ana.pk}/merge", at_desk(member("Vera", Role.VIEWER))
    assert viewer.get(address).status_code == 403
    assert viewer.post(address, {"with": theirs.contact_id}).status_code == 403
    assert "/merge" not in viewer.get(f"/agent/c/{ana.pk}").content.decode()
    client = at_desk(bia)
    assert "?with=" not in client.get(address, {"q": "ana"}).content.decode()
    assert client.get(address, {"with": theirs.contact_id}).status_code == 404
    assert client.post(address, {"with": theirs.contact_id}).status_code == 404
    made = merging.merge(theirs.contact, talk("B", State.RESOLVED, of=elsewhere).contact, None)
    assert client.post(f"{address}/{made.pk}/undo").status_code == 404
