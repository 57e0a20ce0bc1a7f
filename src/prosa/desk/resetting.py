"""A forgotten password: a link by e-mail, good for some days and once.

The page answers the same for every address, and as fast: who has it is looked up by the worker. An address gets one mail in
a while, and one client asks so often, whatever addresses they name.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils import timezone, translation
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from prosa.business.users import active
from prosa.desk import audit, letters, sessions
from prosa.desk.models import Knock, Person
from prosa.queue import chore, defer_once, periodic

PER_ADDRESS = timedelta(minutes=5)
"""Between two mails to one address."""
MOST_PER_CLIENT, PER_CLIENT = 10, timedelta(hours=1)
KEPT = timedelta(days=1)


def _key(kind: str, of: str) -> str:
    return salted_hmac("prosa.knock", f"{kind}:{of}", algorithm="sha256").hexdigest()


def _network(request: HttpRequest) -> str:
    """Whom a client address stands for: with IPv6 everybody has a whole network of them."""
    given = audit.address_of(request) or ""
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return given
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else given


def _knocked(key: str, within: timedelta) -> int:
    """How often this was asked lately; written down that it was asked once more."""
    count = Knock.objects.filter(key=key, created_at__gt=timezone.now() - within).count()
    Knock.objects.create(key=key)
    return count


class ResetForm(forms.Form):
    """The address of an account."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


@require_http_methods(["GET", "POST"])
@never_cache
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for a link. Asking again soon sends no second; whoever asks for many is told to wait (429)."""
    form = ResetForm(request.POST if request.method == "POST" else None)
    sent = False
    if request.method == "POST" and form.is_valid() and letters.possible():
        email = form.cleaned_data["email"].casefold()
        if _knocked(_key("reset from", _network(request)), PER_CLIENT) >= MOST_PER_CLIENT:
            form.add_error(None, _("Too many links were asked for from here. Wait an hour, then try again."))
            context = {"form": form, "sent": False, "possible": True}
            answer = render(request, "desk/reset.html", context, status=429)
            answer.headers["Retry-After"] = str(int(PER_CLIENT.total_seconds()))
            return answer
        if not _knocked(_key("reset for", email), PER_ADDRESS):
            defer_once(
                send_link,
                f"reset:{hashlib.sha256(email.encode()).hexdigest()[:32]}",
                email=email,
                root=letters.root(request),
                language=translation.get_language() or "en",
            )
        sent = True
    context = {"form": form, "sent": sent, "possible": letters.possible()}
    return render(request, "desk/reset.html", context, status=422 if form.errors else 200)


@chore
def send_link(email: str, root: str, language: str) -> None:
    """Send the link to whoever of the desk has this address; nobody has it: nothing happens."""
    users = get_user_model()
    named = users._default_manager.filter(**{f"{users.get_email_field_name()}__iexact": email}).filter(active())  # noqa: SLF001  the documented way to a custom user model's manager
    for user in named:
        if not user.has_usable_password() or not sessions.concerns(user):
            continue
        chosen = Person.objects.filter(user=user).values_list("language", flat=True).first()
        path = reverse(
            "desk:reset-confirm",
            args=[urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)],
        )
        with translation.override(chosen or language):
            told = {"link": root + path, "name": user.get_username()}
            letters.send(getattr(user, users.get_email_field_name()), _("A new password"), "desk/mail_reset.txt", told)


@periodic("23 4 * * *")
def forget() -> None:
    """Once a day: who asked when, and rows of sessions that are over."""
    Knock.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    sessions.forget()


class Confirm(PasswordResetConfirmView):
    """The page behind the link: a new password. All sessions of the account end; the second step stays."""

    template_name = "desk/reset_confirm.html"
    success_url = reverse_lazy("desk:login")

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the password."""
        with transaction.atomic():
            answer: HttpResponse = super().form_valid(form)
            sessions.end_others(form.user, None)
            audit.record_everywhere("password_reset", form.user, request=self.request)
        messages.success(self.request, _("Your new password is kept. Sign in with it."))
        return answer
