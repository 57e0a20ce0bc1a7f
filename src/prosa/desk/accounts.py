"""Signing in and out of the desk, and one's own account: name, language, password, browsers, availability."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from prosa.business.models import LOCALES
from prosa.business.people import Membership
from prosa.business.users import called, has_field
from prosa.desk import assignment, audit, letters, sessions
from prosa.desk.access import SECOND_STEP, Seat, desk
from prosa.desk.frame import done, refused, show
from prosa.desk.models import Person

YEAR_S = 365 * 86_400


class SignIn(LoginView):
    """The sign-in page. Wrong passwords are counted by django-axes, as in the admin."""

    template_name = "desk/login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Where people go who came for nothing in particular."""
        return reverse("desk:dashboard")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether a forgotten password can be helped."""
        return super().get_context_data(**kwargs) | {"mail": letters.possible()}

    def form_valid(self, form: Any) -> HttpResponse:
        """In, or to the second step; in the language the person has chosen."""
        with transaction.atomic():
            answer = super().form_valid(form)
        if SECOND_STEP in self.request.session:
            answer = redirect_to_login(self.get_success_url(), reverse("desk:second"))
        chosen = Person.objects.filter(user=form.get_user()).values_list("language", flat=True).first()
        if chosen:
            _speak(answer, chosen)
        return answer


@require_POST
def sign_out(request: HttpRequest, **_: Any) -> HttpResponse:
    """End the session."""
    logout(request)
    return HttpResponseRedirect(reverse("desk:login"))


def _speak(answer: HttpResponse, language: str) -> None:
    if not language:
        answer.delete_cookie(settings.LANGUAGE_COOKIE_NAME, path=settings.LANGUAGE_COOKIE_PATH)
        return
    answer.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=YEAR_S,
        path=settings.LANGUAGE_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


# ── one's own account ──


class ProfileForm(forms.Form):
    """What a person is called, and the language they read."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("As colleagues see it, and customers where a message says who wrote it."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"), required=False, choices=[("", gettext_lazy("As the browser says")), *LOCALES]
    )


class NewPasswordForm(PasswordChangeForm):
    """The old password, and twice the new one."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request.user, *args, **kwargs)  # type: ignore[arg-type]  # never anonymous behind the desk
        self.request = request
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)

    def clean_old_password(self) -> str:
        """The right one. Wrong ones are counted by django-axes, as at the sign-in page."""
        given: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=given) is None:
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return given


def _renamable() -> str:
    """The field a display name is kept in; host projects' users may have none."""
    return next((name for name in ("first_name", "name") if has_field(name)), "")


def _account(request: HttpRequest, seat: Seat, status: int = 200, **given: Any) -> HttpResponse:
    user = seat.member.user
    person = Person.objects.filter(user=user).first()
    full = called(user)
    initial = {
        "name": "" if full == user.get_username() else full,
        "language": person.language if person else "",
    }
    profile = given.get("profile") or ProfileForm(initial=initial)
    if not _renamable():
        del profile.fields["name"]
    context = {
        "profile": profile,
        "password": given.get("password") or NewPasswordForm(request),
        "sessions": [
            {
                "it": each,
                "browser": sessions.browser(each.browser),
                "here": each.session_key == request.session.session_key,
            }
            for each in sessions.of(user)
        ],
    }
    return show(request, seat, "desk/account.html", "account", context, status=status)


@require_GET
@desk()
def account(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One's own page."""
    return _account(request, seat)


@require_POST
@desk()
def save(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Keep the name and the language."""
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _account(request, seat, 422, profile=form)
    user, language = seat.member.user, form.cleaned_data["language"]
    name = " ".join(form.cleaned_data["name"].split())
    field = _renamable()
    with transaction.atomic():
        if field:
            setattr(user, field, name)
            changed = [field]
            if field == "first_name" and has_field("last_name"):
                user.last_name = ""
                changed.append("last_name")
            user.save(update_fields=changed)
        Person.objects.update_or_create(user=user, defaults={"language": language})
    answer = done(request, _("Saved."), "account")
    _speak(answer, language)
    return answer


@sensitive_post_parameters()
@require_POST
@desk()
def change_password(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A new password. Every other browser is signed out."""
    form = NewPasswordForm(request, request.POST)
    if not form.is_valid():
        return _account(request, seat, 422, password=form)
    with transaction.atomic():
        before = request.session.session_key
        form.save()
        update_session_auth_hash(request, form.user)
        sessions.renamed(before, request.session.session_key)
        sessions.end_others(form.user, request.session.session_key)
        audit.record_everywhere("password_changed", form.user, request=request)
    return done(request, _("Your password is changed. Other browsers are signed out."), "account")


@require_POST
@desk()
def end_others(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Sign out every other browser."""
    with transaction.atomic():
        count = sessions.end_others(seat.member.user, request.session.session_key)
        if count:
            audit.record_everywhere("sessions_ended", seat.member.user, request=request, browsers=count)
    said = ngettext("%(n)d other browser is signed out.", "%(n)d other browsers are signed out.", count) % {"n": count}
    return done(request, said, "account")


@require_POST
@desk()
def end_one(request: HttpRequest, seat: Seat, row_id: int) -> HttpResponse:
    """Sign out one browser."""
    with transaction.atomic():
        if not sessions.end(seat.member.user, row_id):
            return refused(request, _("It is signed out already."), "account")
        audit.record_everywhere("sessions_ended", seat.member.user, request=request, browsers=1)
    return done(request, _("That browser is signed out."), "account")


@require_POST
@desk()
def available(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Say whether one is there to be given conversations (``on``: 1 or 0)."""
    on = request.POST.get("on") == "1"
    with transaction.atomic():
        if on != seat.member.available:
            audit.record("available" if on else "away", seat.member.user, seat.business, request=request)
        Membership.objects.filter(pk=seat.member.pk).update(available=on)
    seat.member.available = on
    if seat.member.available:
        assignment.welcome([seat.business.pk])
    if request.headers.get("HX-Request"):
        return render(request, "desk/available.html", {"seat": seat})
    return HttpResponseRedirect(reverse("desk:dashboard"))
