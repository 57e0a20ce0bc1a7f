"""The right pane: who the customer is, what is remembered of them, what happened before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from prosa import phones, realtime
from prosa.business.people import Role
from prosa.business.zones import zone_named
from prosa.contacts.models import Contact, Fact
from prosa.conversations import linking, merging, thread
from prosa.conversations.models import Conversation
from prosa.desk import audit, presence, stream
from prosa.desk.access import Seat, desk

MOST_PREVIOUS = 5
MOST_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Known:
    """One way a customer is known, as people write it. ``link`` calls or writes to them; empty where nothing can."""

    icon: str
    label: str
    text: str
    link: str = ""


def known(contact: Contact) -> list[Known]:
    """Telephone numbers first. What only programs can read is told by what it is."""
    found = [_known(each.kind, each.value, each.address) for each in contact.identities.all()]
    return sorted(found, key=lambda each: each.icon != "i-phone")


def _known(kind: str, value: str, address: str) -> Known:
    if kind == "phone":
        text = phones.pretty(value) or value
        return Known("i-phone", _("phone"), text, f"tel:+{value}" if value.isdecimal() else "")
    if kind == "email":
        return Known("i-mail", _("e-mail"), value, f"mailto:{value}" if "@" in value else "")
    if kind == "bsuid":
        return Known(
            "i-chat", _("WhatsApp account"), address if address and address != value else _("WhatsApp account")
        )
    if kind == "signed":
        return Known("i-person", _("signed in on your site as"), value)
    if kind == "user":
        return Known("i-person", _("user"), address or value)
    return Known("i-chat", kind, address or value)


def pane(seat: Seat, conversation: Conversation) -> dict[str, Any]:
    """What the right pane shows, in a constant number of queries."""
    contact, zone = conversation.contact, zone_named(seat.business.timezone)
    ways = known(contact)
    others = Conversation.objects.filter(contact=contact, business=seat.business).exclude(pk=conversation.pk)
    events = list(conversation.events.order_by("-id")[:MOST_EVENTS])
    told = thread.in_words(conversation, events)
    return {
        "zone": zone,
        "now": timezone.now(),
        "tomorrow": (timezone.localtime(timezone.now(), zone) + timedelta(days=1)).replace(hour=9, minute=0),
        "name": contact.name or (ways[0].text if ways else f"#{contact.pk}"),
        "known": ways,
        "facts": Fact.objects.filter(contact=contact, business=seat.business),
        "previous": others.select_related("inbox").order_by("-id")[:MOST_PREVIOUS],
        "happened": [(each.created_at, told[each.pk]) for each in events],
        "labels": seat.business.labels.all(),
        "own_labels": set(conversation.labels.values_list("pk", flat=True)),
        "colleagues": presence.colleagues(seat.business),
        "version": stream.version(conversation),
        "teams": seat.business.teams.all(),
        "merges": merging.merges(contact),
        "registers": bool(linking.registers()),
    }


def draw(request: HttpRequest, seat: Seat, conversation: Conversation, refused: str = "") -> HttpResponse:
    """The pane as a piece of the page. ``refused``: why what was asked there was not done."""
    frame = {"seat": seat, "conversation": conversation, "may_write": seat.may(Role.AGENT), "refused": refused}
    return render(request, "desk/contact.html", frame | pane(seat, conversation))


@require_GET
@never_cache
@desk()
def contact(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """The pane alone."""
    return draw(request, seat, seat.conversation(conversation_id))


@require_POST
@desk(Role.AGENT)
def forget(request: HttpRequest, seat: Seat, conversation_id: int, fact_id: int) -> HttpResponse:
    """Erase something remembered. The timeline keeps that it was erased, never what it said."""
    conversation = seat.conversation(conversation_id)
    fact = Fact.objects.filter(pk=fact_id, contact=conversation.contact, business=seat.business).first()
    if fact is None:
        raise Http404
    with transaction.atomic():
        fact.delete()
        audit.record("fact_erased", seat.member.user, seat.business, f"#{conversation.pk}", request=request)
        conversation.events.create(business=seat.business, kind="forgotten", actor=seat.actor)
        realtime.publish("conversation", conversation.pk)
    return draw(request, seat, conversation)
