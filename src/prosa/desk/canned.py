"""Canned replies: texts used often, with places for names, and the page where they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from prosa.business.people import Role
from prosa.business.users import first_name
from prosa.conversations.models import Conversation
from prosa.desk import audit, frame
from prosa.desk.access import Seat, desk
from prosa.desk.models import CannedReply

PLACES = ("name", "agent", "business")
"""What ``{…}`` may stand for: the customer's first name, the writer's, the business's."""
_PLACE = re.compile(r"\{([^{}\n]{0,40})\}")
_LEFT_OPEN = re.compile(r"[ \t]+(?=[,.!?;:]|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ready:
    """A canned reply with its places filled in for one conversation and one writer."""

    pk: int
    shortcut: str
    text: str


def fill(text: str, values: dict[str, str]) -> str:
    """``Olá {name}!`` → ``Olá Ana!``. Where a value is empty, the space before its place goes too: ``Olá!``."""
    filled = _PLACE.sub(lambda place: values.get(place[1], place[0]), text)
    return filled if all(values.values()) else _LEFT_OPEN.sub("", filled)


def ready(seat: Seat, conversation: Conversation) -> list[Ready]:
    """The business's canned replies as they would be inserted here."""
    values = {
        "name": (conversation.contact.name.split() or [""])[0],
        "agent": first_name(seat.member.user),
        "business": seat.business.name,
    }
    found = CannedReply.objects.filter(business=seat.business)
    return [Ready(each.pk, each.shortcut, fill(each.text, values)) for each in found]


class CannedForm(forms.ModelForm):  # type: ignore[type-arg]  # django-stubs' generics exist for mypy alone
    """One canned reply of a business."""

    class Meta:
        model = CannedReply
        fields = ("shortcut", "text")
        widgets = {"text": forms.Textarea(attrs={"rows": 5})}

    def clean_shortcut(self) -> str:
        """In small letters, without the slash, and the only one of its name."""
        shortcut: str = self.cleaned_data["shortcut"].lower()
        others = CannedReply.objects.filter(business=self.instance.business, shortcut=shortcut)
        if others.exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a canned reply of this name already."))
        return shortcut

    def clean_text(self) -> str:
        """With no places but those that are filled in: what is left in braces would reach the customer."""
        text: str = self.cleaned_data["text"]
        if unknown := [place for place in _PLACE.findall(text) if place not in PLACES]:
            raise ValidationError(
                _("{%(place)s} would reach the customer as it stands. There are {name}, {agent} and {business}.")
                % {"place": unknown[0]}
            )
        return text


@require_http_methods(["GET", "POST"])
@desk(Role.AGENT)
def page(request: HttpRequest, seat: Seat, canned_id: int | None = None) -> HttpResponse:
    """All of them, with a form for a new one or for the one chosen."""
    one = CannedReply(business=seat.business)
    if canned_id is not None:
        one = get_object_or_404(CannedReply, business=seat.business, pk=canned_id)
    given = request.POST.copy() if request.method == "POST" else None
    if given is not None:
        given["shortcut"] = given.get("shortcut", "").strip().lstrip("/")
    form = CannedForm(given, instance=one)
    if given is not None and form.is_valid():
        with transaction.atomic():
            form.save()
            kind = "canned_made" if canned_id is None else "canned_changed"
            audit.record(kind, seat.member.user, seat.business, form.instance, request=request)
        return frame.done(request, _("Kept: /%s") % form.instance.shortcut, "canned")
    found = CannedReply.objects.filter(business=seat.business)
    context = {"form": form, "chosen": canned_id, "replies": found}
    return frame.show(request, seat, "desk/canned.html", "canned", context, status=422 if form.errors else 200)


@require_POST
@desk(Role.AGENT)
def remove(request: HttpRequest, seat: Seat, canned_id: int) -> HttpResponse:
    """Forget one."""
    one = get_object_or_404(CannedReply, business=seat.business, pk=canned_id)
    shortcut = one.shortcut
    with transaction.atomic():
        audit.record("canned_deleted", seat.member.user, seat.business, one, request=request)
        one.delete()
    return frame.done(request, _("Deleted: /%s") % shortcut, "canned")
