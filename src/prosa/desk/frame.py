"""The pages behind “Settings” of the desk: one frame, one list of them, one way to answer.

A page of settings is a template that extends ``desk/settings.html``, shown by :func:`show`, and a line in :data:`ENTRIES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from prosa.business.people import Role
from prosa.business.zones import zone_named
from prosa.desk.access import Seat, seats


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the list of settings: its name in the URLs, what it is called, who may open it."""

    name: str
    label: str
    role: Role = Role.VIEWER


ENTRIES = (
    Entry("account", gettext_noop("My account")),
    Entry("two-step", gettext_noop("Two-step sign-in")),
    Entry("notifications", gettext_noop("Notifications"), Role.AGENT),
    Entry("canned", gettext_noop("Canned replies"), Role.AGENT),
    Entry("members", gettext_noop("People"), Role.ADMIN),
    Entry("teams", gettext_noop("Teams"), Role.ADMIN),
    Entry("labels", gettext_noop("Labels"), Role.ADMIN),
    Entry("handing-over", gettext_noop("Handing over to people"), Role.ADMIN),
    Entry("opening-hours", gettext_noop("Opening hours"), Role.ADMIN),
    Entry("outlets", gettext_noop("Slack and webhooks"), Role.ADMIN),
    Entry("audit", gettext_noop("Audit log"), Role.ADMIN),
)


def show(
    request: HttpRequest,
    seat: Seat,
    template: str,
    here: str,
    context: dict[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """A page of the settings. ``here``: the entry it belongs to."""
    entries = [(each.name, reverse(f"desk:{each.name}"), _(each.label)) for each in ENTRIES if seat.may(each.role)]
    frame = {
        "seat": seat,
        "seats": seats(request.user),
        "zone": zone_named(seat.business.timezone),
        "entries": entries,
        "here": here,
        "title": next((label for name, _address, label in entries if name == here), ""),
    }
    answer = render(request, template, frame | (context or {}), status=status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def done(request: HttpRequest, said: str, name: str, *args: Any) -> HttpResponse:
    """After a change: to the page named, which says what was done."""
    messages.success(request, said)
    return HttpResponseRedirect(reverse(f"desk:{name}", args=args))


def refused(request: HttpRequest, why: str, name: str, *args: Any) -> HttpResponse:
    """Nothing was changed: to the page named, which says why."""
    messages.error(request, why)
    return HttpResponseRedirect(reverse(f"desk:{name}", args=args))
