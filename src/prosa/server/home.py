"""The page at ``/``: in development where to go, otherwise the admin at once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from prosa import conf


def home(request: HttpRequest) -> HttpResponse:
    """Links for whoever has just run ``prosa up``."""
    if not conf.settings().development:
        return redirect("admin:index")
    return render(request, "prosa/home.html")
