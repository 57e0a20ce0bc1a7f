"""Why the assistant said what it said, for the people who answer beside it. No rights in the admin are needed."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from prosa.business.zones import zone_named
from prosa.conversations.models import Turn
from prosa.conversations.pages.replies import LEVELS, stored
from prosa.conversations.traces import account
from prosa.desk.access import Seat, desk

POLICY = (
    "default-src 'self'; style-src-attr 'unsafe-inline'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
)
"""The bar that tells where the time went has its widths in attributes."""


@require_GET
@desk()
def why(request: HttpRequest, seat: Seat, turn_id: int) -> HttpResponse:
    """The trace of one turn of the business, in words and in full."""
    turn = Turn.objects.filter(pk=turn_id, business_id=seat.business.pk).first()
    if turn is None:
        raise Http404
    found = stored(turn)
    answer = render(
        request,
        "desk/why.html",
        {
            "title": _("Why this reply") if found.replies else _("Why there was no reply"),
            "conversation_id": turn.conversation_id,
            "account": account.of(found),
            "outcome": account.outcome(found.outcome),
            "level": LEVELS.get(found.outcome, "info"),
            "zone": zone_named(seat.business.timezone),
        },
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
