"""Merging contacts at the desk: find the other one, see what moves, confirm; and taking apart again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Func, OuterRef, Q, TextField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from prosa import phones
from prosa.business.people import Role
from prosa.contacts.models import Contact, Identity, Merge
from prosa.conversations import merging
from prosa.desk import about
from prosa.desk.access import Seat, desk
from prosa.desk.audit import record
from prosa.desk.search import fold
from prosa.errors import ProsaError

MOST = 20
LONGEST = 100
LEAST_DIGITS = 4
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Choice:
    """A contact to merge with: what they are called, and how they are known beside that."""

    contact: Contact
    name: str
    ways: Sequence[about.Known]


def find(contact: Contact, asked: str) -> list[Contact]:
    """Others of the business by name, telephone number or e-mail address; without a question those of the same name."""
    words = [fold(each) for each in _WORD.findall((asked or contact.name)[:LONGEST])]
    if not words:
        return []
    named = Q(folded=" ".join(words)) if not asked else Q(*(Q(folded__contains=word) for word in words))
    ways = Q()
    digits = re.sub(r"[\s().+\-/]", "", asked)
    if digits.isascii() and digits.isdecimal() and len(digits) >= LEAST_DIGITS:
        for each in {digits.lstrip("0"), *phones.variants(digits)}:
            ways |= Q(key__startswith="phone:", key__contains=each)
    if "@" in asked:
        ways |= Q(key__startswith="email:", key__icontains=asked.strip())
    others = merging.standing(contact.business).exclude(pk=contact.pk)
    found = others.annotate(folded=Func(F("name"), function="prosa_fold", output_field=TextField()))
    if ways:
        known = Identity.objects.filter(ways, contact=OuterRef("pk"), business_id=contact.business_id)
        named |= Q(Exists(known))
    return list(found.filter(named).prefetch_related("identities").order_by("-pk")[:MOST])


def _choice(contact: Contact) -> Choice:
    ways = about.known(contact)
    name = contact.name or (ways[0].text if ways else f"#{contact.pk}")
    return Choice(contact, name, [each for each in ways if each.text != name])


@require_http_methods(["GET", "POST"])
@never_cache
@desk(Role.AGENT)
def merge(request: HttpRequest, seat: Seat, conversation_id: int) -> HttpResponse:
    """The page: ``q`` finds, ``with`` shows what would move, and posting that does it."""
    conversation = seat.conversation(conversation_id)
    contact = conversation.contact
    given = request.POST.get("with", "") if request.method == "POST" else request.GET.get("with", "")
    asked = request.GET.get("q", "").strip()[:LONGEST]
    context: dict[str, Any] = {"seat": seat, "conversation": conversation, "kept": _choice(contact), "asked": asked}
    status = 200
    if given:
        other = merging.standing(seat.business).filter(pk=int(given[:18]) if given.isdecimal() else 0).first()
        if other is None:
            raise Http404
        if request.method == "POST":
            try:
                with transaction.atomic():
                    made = merging.merge(contact, other, seat.member.user)
                    record(
                        "contacts_merged", seat.member.user, seat.business, f"#{contact.pk}", request=request,
                        merged=f"#{other.pk}", conversations=made.moved["conversations"],
                    )  # fmt: skip
            except ProsaError as error:
                context["problem"], status = str(error), 409
            else:
                return HttpResponseRedirect(reverse("desk:conversation", args=[conversation.pk]))
        context |= {"choice": _choice(other), "preview": merging.preview(contact, other)}
    else:
        context["choices"] = [_choice(each) for each in find(contact, asked)]
    return render(request, "desk/merge.html", context, status=status)


@require_POST
@desk(Role.AGENT)
def unmerge(request: HttpRequest, seat: Seat, conversation_id: int, merge_id: int) -> HttpResponse:
    """Take two contacts apart again. The answer is the pane, or why not."""
    conversation = seat.conversation(conversation_id)
    found = Merge.objects.filter(pk=merge_id, kept=conversation.contact, business=seat.business).first()
    if found is None:
        raise Http404
    try:
        with transaction.atomic():
            merging.undo(found, seat.member.user)
            record(
                "contacts_unmerged", seat.member.user, seat.business, f"#{found.kept_id}", request=request,
                merged=f"#{found.merged_id}",
            )  # fmt: skip
    except ProsaError as error:
        return about.draw(request, seat, conversation, str(error))
    return about.draw(request, seat, seat.conversation(conversation_id))
