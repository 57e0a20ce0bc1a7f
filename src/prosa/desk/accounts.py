"""Signing in and out of the desk."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST


class SignIn(LoginView):
    """The sign-in page. Wrong passwords are counted by django-axes, as in the admin."""

    template_name = "desk/login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Where people go who came for nothing in particular."""
        return reverse("desk:dashboard")


@require_POST
def sign_out(request: HttpRequest, **_: Any) -> HttpResponse:
    """End the session."""
    logout(request)
    return HttpResponseRedirect(reverse("desk:login"))
