"""The customer behind a contact, in the right pane: links, suggestions, search, profile and orders.

The pieces are loaded by the page after the pane, for a register may take its time; what it says is kept for a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from prosa.business.people import Role
from prosa.business.users import called
from prosa.business.zones import zone_named
from prosa.contacts.links import How, Link
from prosa.contacts.models import Contact
from prosa.contracts import Profile
from prosa.conversations import linking
from prosa.conversations.linking import Suggestion
from prosa.conversations.models import Conversation
from prosa.desk.access import Seat, desk
from prosa.errors import ProsaError, TemporaryError

SALT = "prosa.desk.customer"
HOUR_S = 3600
MOST_ORDERS = 5
MOST_FACTS = 12
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Linked:
    """A link and what its register tells; ``problem`` where it did not."""

    link: Link
    register: str
    how: str
    who: str
    profile: Profile | None
    problem: str


@dataclass(frozen=True, slots=True)
class Offered:
    """Somebody to link to. ``token`` names them in a form, signed: what is linked is what was shown."""

    register: str
    label: str
    about: str
    how: str
    token: str


def piece(request: HttpRequest, seat: Seat, conversation: Conversation, **more: Any) -> HttpResponse:
    """The section about the customer."""
    contact = conversation.contact
    linked = [_linked(each) for each in linking.links(contact)]
    told = linking.suggestions(contact)
    open_to = [
        (kind, each.name)
        for kind, each in linking.registers().items()
        if each.search is not None and kind not in {one.link.kind for one in linked}
    ]
    context = {
        "seat": seat,
        "conversation": conversation,
        "may_write": seat.may(Role.AGENT),
        "zone": zone_named(seat.business.timezone),
        "linked": linked,
        "offered": [_offered(contact, each) for each in told.found],
        "several": len([each for each in told.found if each.how]) > 1,
        "silent": told.silent,
        "searchable": open_to,
    }
    return render(request, "desk/customer.html", context | more)


def _linked(link: Link) -> Linked:
    register = linking.registers().get(link.kind)
    found, problem = None, ""
    try:
        found = linking.profile(link)
    except TemporaryError as error:
        problem = str(error)
    if found is not None:
        orders = [replace(each, url=_web(each.url)) for each in found.orders if each.title][:MOST_ORDERS]
        found = Profile(tuple(found.facts)[:MOST_FACTS], tuple(orders), _web(found.url))
    return Linked(
        link,
        register.name if register else link.kind,
        str(How(link.how).label),
        called(link.user) if link.user else "",
        found,
        problem,
    )


def _web(url: str) -> str:
    """Only what a browser opens as a page: a register's words are not trusted more than a customer's."""
    return url if url.startswith(("https://", "http://")) else ""


def _offered(contact: Contact, each: Suggestion) -> Offered:
    said = [contact.pk, each.register.kind, each.candidate.key, each.candidate.label, str(each.how), each.proof]
    return Offered(
        each.register.name,
        each.candidate.label,
        each.candidate.about,
        str(How(each.how).label) if each.how else "",
        signing.dumps(said, salt=SALT),
    )


def _read(request: HttpRequest, contact: Contact) -> list[str]:
    try:
        pk, *said = signing.loads(request.POST.get("customer", ""), salt=SALT, max_age=HOUR_S)
    except signing.BadSignature:
        raise Http404 from None
    if pk != contact.pk:
        raise Http404
    return [str(each) for each in said]


@require_GET
@never_cache
@desk()
def customer(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """The section alone; ``q`` and ``in`` search a register."""
    conversation = seat.conversation(conversation_id)
    asked, kind = request.GET.get("q", "").strip()[:LONGEST], request.GET.get("in", "")
    if not asked or not seat.may(Role.AGENT):
        return piece(request, seat, conversation)
    try:
        found = [_offered(conversation.contact, each) for each in linking.search(conversation.contact, kind, asked)]
    except TemporaryError as error:
        return piece(request, seat, conversation, asked=asked, kind=kind, refused=str(error))
    return piece(request, seat, conversation, asked=asked, kind=kind, hits=found)


@require_POST
@desk(Role.AGENT)
def link(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """Link the contact to the ``customer`` that was shown; with ``not`` it is never suggested again."""
    conversation = seat.conversation(conversation_id)
    kind, key, label, how, proof = _read(request, conversation.contact)
    try:
        if request.POST.get("not"):
            linking.decline(conversation.contact, kind, key, label, seat.member.user)
        else:
            linking.link(conversation.contact, kind, key, label, seat.member.user, how=how, proof=proof)
    except ProsaError as error:
        return piece(request, seat, conversation, refused=str(error))
    return piece(request, seat, conversation)


@require_POST
@desk(Role.AGENT)
def unlink(request: HttpRequest, seat: Seat, conversation_id: int, link_id: int) -> HttpResponse:
    """Undo a link."""
    conversation = seat.conversation(conversation_id)
    found = Link.objects.filter(pk=link_id, contact=conversation.contact, business=seat.business).first()
    if found is None:
        raise Http404
    try:
        linking.unlink(found, seat.member.user)
    except ProsaError as error:
        return piece(request, seat, conversation, refused=str(error))
    return piece(request, seat, conversation)
