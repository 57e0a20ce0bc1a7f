"""Invitations by e-mail: a link that is good for one person, once, for a week.

The token stands in the link and nowhere else; stored is its hash. Who follows the link signs in when an account of that
address exists, else sets a password and has one. The pages say the same for every token that is not good.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model, login, password_validation
from django.contrib.auth.views import redirect_to_login
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from prosa.business.models import Business
from prosa.business.people import RANK, Invitation, Membership, Role
from prosa.business.users import active, called, has_field
from prosa.desk import audit, letters, sessions
from prosa.desk.access import CHOSEN, SECOND_STEP, Seat, desk
from prosa.desk.frame import done, refused
from prosa.desk.members import InviteForm, listing

VALID = timedelta(days=7)
MOST_OPEN = 200
"""Invitations a business may have open at once: nobody uses Prosa to send mail to the world."""


def hashed(token: str) -> str:
    """What is stored of a token. It has 256 bits of chance, so that a plain hash keeps it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _sent(invitation: Invitation, link: str) -> bool:
    """Send the link, in the language of the business: nobody knows the reader's yet. False when no mail went out."""
    with translation.override(invitation.business.locale):
        told = {
            "business": invitation.business,
            "by": called(invitation.invited_by) if invitation.invited_by else "",
            "role": invitation.get_role_display(),
            "link": link,
            "days": VALID.days,
        }
        subject = _("%(business)s: your place at the desk") % {"business": invitation.business.name}
        try:
            letters.send(invitation.email, subject, "desk/mail_invitation.txt", told)
        except letters.Unsent:
            return False
    return True


def _deliver(request: HttpRequest, seat: Seat, invitation: Invitation, token: str) -> HttpResponse:
    link = letters.root(request) + reverse("desk:invitation", args=[token])
    if _sent(invitation, link):
        return done(request, _("The invitation is on its way to %s.") % invitation.email, "members")
    return listing(request, seat, link=link, email=invitation.email)


@require_POST
@desk(Role.ADMIN)
def invite(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Invite somebody. A new invitation to the same address replaces the old one."""
    form = InviteForm(seat, request.POST)
    if not form.is_valid():
        return listing(request, seat, form, status=422)
    email, token = form.cleaned_data["email"], secrets.token_urlsafe(32)
    with transaction.atomic():
        Business.objects.select_for_update(no_key=True).get(pk=seat.business.pk)
        pending = Invitation.objects.filter(business=seat.business, accepted_at=None, revoked_at=None)
        if pending.count() >= MOST_OPEN:
            return refused(request, _("Too many invitations are open.\nWithdraw some first."), "members")
        pending.filter(email__iexact=email).update(revoked_at=timezone.now())
        made = Invitation.objects.create(
            business=seat.business,
            email=email,
            role=form.cleaned_data["role"],
            token_hash=hashed(token),
            invited_by=seat.member.user,
            expires_at=timezone.now() + VALID,
        )
        audit.record("invited", seat.member.user, seat.business, email, request=request, role=made.role)
    return _deliver(request, seat, made, token)


def _open(seat: Seat, invitation_id: int) -> Invitation:
    """An invitation that nobody has answered, locked. Those of owners are for owners to touch."""
    found = (
        Invitation.objects.select_for_update(of=("self",), no_key=True)
        .select_related("business", "invited_by")
        .filter(business=seat.business, pk=invitation_id, accepted_at=None, revoked_at=None)
        .first()
    )
    if found is None or (found.role == Role.OWNER and not seat.may(Role.OWNER)):
        raise Http404
    return found


@require_POST
@desk(Role.ADMIN)
def again(request: HttpRequest, seat: Seat, invitation_id: int) -> HttpResponse:
    """Send a new link; the old one is good no more."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        found = _open(seat, invitation_id)
        found.token_hash, found.expires_at, found.invited_by = hashed(token), timezone.now() + VALID, seat.member.user
        found.save(update_fields=["token_hash", "expires_at", "invited_by"])
        audit.record("invitation_sent_again", seat.member.user, seat.business, found.email, request=request)
    return _deliver(request, seat, found, token)


@require_POST
@desk(Role.ADMIN)
def withdraw(request: HttpRequest, seat: Seat, invitation_id: int) -> HttpResponse:
    """The link is good no more."""
    with transaction.atomic():
        found = _open(seat, invitation_id)
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        audit.record("invitation_withdrawn", seat.member.user, seat.business, found.email, request=request)
    return done(request, _("The invitation of %s is withdrawn.") % found.email, "members")


# ── whoever follows the link ──


class NewAccountForm(forms.Form):
    """A name and a password, for whoever has no account yet."""

    name = forms.CharField(
        label=gettext_lazy("Your name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email
        self.fields["password"].help_text = password_validation.password_validators_help_text_html()

    def clean(self) -> dict[str, Any]:
        """A password that passes the installation's rules."""
        given = super().clean() or {}
        if "password" in given:
            try:
                password_validation.validate_password(given["password"], unsaved(self.email, given.get("name", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return given


def unsaved(email: str, name: str) -> Any:
    """An account of this address, not stored yet, whatever fields the user model has."""
    users = get_user_model()
    values = {users.USERNAME_FIELD: email, users.get_email_field_name(): email}
    values |= {"first_name": name} if has_field("first_name") else {"name": name} if has_field("name") else {}
    return users(**values)


def _accounts(email: str) -> Any:
    users = get_user_model()
    return users._default_manager.filter(  # noqa: SLF001  the documented way to a custom user model's manager
        Q(**{f"{users.get_email_field_name()}__iexact": email}) | Q(**{f"{users.USERNAME_FIELD}__iexact": email}),
        active(),
    )


def _good(token: str, *, lock: bool = False) -> Invitation | None:
    if not re.fullmatch(r"[\w-]{20,100}", token, re.ASCII):
        return None
    rows = Invitation.objects.select_related("business", "invited_by").filter(
        token_hash=hashed(token), accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()
    )
    found = (rows.select_for_update(of=("self",)) if lock else rows).first()
    return found if found is not None and _stands(found) else None


def _stands(invitation: Invitation) -> bool:
    """May whoever invited still give this place? They may have left, or been demoted, in any way there is."""
    inviter: Any = invitation.invited_by
    if inviter is None:
        return True
    if not getattr(inviter, "is_active", True):
        return False
    role = Role(invitation.role)
    place = Membership.objects.filter(business=invitation.business, user=inviter).first()
    if place is None:
        return bool(getattr(inviter, "is_superuser", False))
    return place.may(Role.ADMIN) and place.may(role)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@never_cache
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the link."""
    invitation = _good(token)
    if invitation is None:
        return render(request, "desk/invitation_over.html", status=404)
    here = request.get_full_path()
    user: Any = request.user
    if user.is_authenticated:
        if SECOND_STEP in request.session:
            return redirect_to_login(here, reverse("desk:second"))
        if not _accounts(invitation.email).filter(pk=user.pk).exists():
            return _shown(request, invitation, "other", user=called(user))
        if request.method == "POST":
            return _join(request, token, user)
        return _shown(request, invitation, "join", user=called(user))
    if _accounts(invitation.email).exists():
        return _shown(request, invitation, "sign-in", next=here)
    form = NewAccountForm(invitation.email, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _register(request, token, form)
    return _shown(request, invitation, "new", form=form, status=422 if form.errors else 200)


def _shown(request: HttpRequest, invitation: Invitation, way: str, status: int = 200, **context: Any) -> HttpResponse:
    told = {"invitation": invitation, "business": invitation.business, "way": way, **context}
    return render(request, "desk/invitation.html", told, status=status)


def _join(request: HttpRequest, token: str, user: Any) -> HttpResponse:
    with transaction.atomic():
        invitation = _good(token, lock=True)
        if invitation is None:  # used a moment ago, in another tab
            return render(request, "desk/invitation_over.html", status=404)
        _seated(request, invitation, user)
    request.session[CHOSEN] = invitation.business_id
    return HttpResponseRedirect(reverse("desk:dashboard"))


def _register(request: HttpRequest, token: str, form: NewAccountForm) -> HttpResponse:
    try:
        with transaction.atomic():
            invitation = _good(token, lock=True)
            if invitation is None:
                return render(request, "desk/invitation_over.html", status=404)
            user = unsaved(invitation.email, form.cleaned_data["name"])
            user.set_password(form.cleaned_data["password"])
            user.save()
            _seated(request, invitation, user)
    except IntegrityError:  # an account of this name was made a moment ago: the page now asks to sign in
        return HttpResponseRedirect(request.get_full_path())
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    request.session[CHOSEN] = invitation.business_id
    return HttpResponseRedirect(reverse("desk:dashboard"))


def _seated(request: HttpRequest, invitation: Invitation, user: Any) -> None:
    """The place is theirs. Whoever was here before has it back, and never loses rank by an invitation."""
    member, made = Membership.objects.get_or_create(
        business=invitation.business, user=user, defaults={"role": invitation.role}
    )
    if not made:
        if member.left_at is not None or RANK[Role(invitation.role)] > RANK[Role(member.role)]:
            member.role = invitation.role
        member.left_at = None
        member.save(update_fields=["role", "left_at"])
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    if request.user.is_authenticated:
        # This session may be older than their place here: from now on they are shown where it is.
        sessions.listed(request, user, known=True)
    audit.record("joined", user, invitation.business, called(user), request=request, role=member.role)
