"""Addresses below ``/agent/`` that lead nowhere."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from prosa.desk.access import Seat, desk


@desk()
def nowhere(_request: HttpRequest, _seat: Seat, rest: str) -> HttpResponse:
    """A mistyped or old address: answered in the desk's look."""
    raise Http404(rest)
