"""The settings of notifications: a member's own, and for administrators the business's Slack channels and webhooks."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from prosa.business.models import Business
from prosa.business.people import Role
from prosa.conversations.acts.proving import mails
from prosa.desk import audit, digests, notices, webhooks
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, refused, show
from prosa.desk.models_notices import Discretion, Outlet, Way
from prosa.desk.webhooks import Trouble, explain
from prosa.errors import NotAllowed

MOST_OUTLETS = 30
"""Of one business, besides its members' own."""
EVENTS = ("handed_off", "assigned", "asked", "escalated", "unanswered", "unanswered_minutes", "quiet_from", "quiet_to")


class Events(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """What an outlet is told, and when not."""

    class Meta:
        model = Outlet
        fields = ("active", *EVENTS)
        widgets = {name: forms.TimeInput(attrs={"type": "time"}, format="%H:%M") for name in ("quiet_from", "quiet_to")}

    def clean(self) -> dict[str, Any]:
        """Quiet hours have a beginning and an end."""
        given: dict[str, Any] = super().clean() or {}
        if (given.get("quiet_from") is None) != (given.get("quiet_to") is None) and not (
            {"quiet_from", "quiet_to"} & self.errors.keys()
        ):
            self.add_error("quiet_to", _("Write both times, or none."))
        return given


class Own(Events):
    """A member's own e-mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["active"].label = _("Tell me by e-mail")
        member = self.instance.member
        if member is None or not member.may(Role.ADMIN):
            del self.fields["escalated"]


class Theirs(Events):
    """A Slack channel or a webhook of the business."""

    url = forms.CharField(
        label=gettext_lazy("Address (URL)"),
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
    )

    class Meta(Events.Meta):
        fields = ("way", "name", "team", "active", *EVENTS)  # type: ignore[assignment]

    field_order = ("way", "name", "url", "team", *EVENTS, "active")

    def __init__(self, business: Business, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = business.teams.all()  # type: ignore[attr-defined]
        self.fields["team"].help_text = _("Of a team: only the conversations that wait for it.")
        self.fields["team"].empty_label = _("The whole business")  # type: ignore[attr-defined]
        self.fields["assigned"].label = _("A conversation is given to somebody")
        self.fields["way"].label = _("Kind")
        self.fields["way"].choices = [(way.value, way.label) for way in (Way.SLACK, Way.WEBHOOK)]  # type: ignore[attr-defined]
        if self.instance.pk:
            del self.fields["way"]
            self.fields["url"].help_text = _("Kept secret. Leave it empty to keep the one there is.")
        else:
            self.fields["url"].required = True

    def clean_url(self) -> str:
        """An address that may be called."""
        url: str = self.cleaned_data["url"].strip()
        if url:
            try:
                webhooks.check(url)
            except NotAllowed as error:
                raise forms.ValidationError(str(error)) from None
        return url

    def save(self, commit: bool = True) -> Outlet:  # noqa: FBT001, FBT002  Django's signature
        """Seal the address, and make a secret for what is signed."""
        kept = dict(self.instance.address)
        if url := self.cleaned_data["url"]:
            kept["url"] = url
            self.instance.attempts, self.instance.next_at = 0, None
        if self.instance.way == Way.WEBHOOK:
            kept.setdefault("secret", secrets.token_urlsafe(32))
        self.instance.address = kept
        saved: Outlet = super().save(commit)
        return saved


# ── one's own ──


def _own(seat: Seat) -> Outlet:
    found, _made = Outlet.objects.get_or_create(
        member=seat.member,
        way=Way.EMAIL,
        defaults={"business": seat.business, "handed_off": seat.member.capacity > 0},
    )
    return found


@require_http_methods(["GET", "POST"])
@desk(Role.AGENT)
def notifications(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What the member is told by e-mail."""
    outlet = _own(seat)
    form = Own(request.POST or None, instance=outlet)
    if request.method == "POST" and form.is_valid():
        form.save()
        return done(request, _("Saved."), "notifications")
    context = {"form": form, "outlet": _shown(outlet), "email": digests.address_of(seat.member), "mails": mails()}
    return show(request, seat, "desk/notifications.html", "notifications", context, status=422 if form.errors else 200)


@require_POST
@desk(Role.AGENT)
def try_own(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Send the member a mail now."""
    try:
        to = notices.try_out(_own(seat))
    except Trouble as trouble:
        return refused(request, explain(str(trouble)), "notifications")
    return done(request, _("Sent to %s.") % to, "notifications")


# ── the business's ──


def _outlet(seat: Seat, outlet_id: int) -> Outlet:
    found = Outlet.objects.select_related("business", "team").filter(
        pk=outlet_id, business=seat.business, member__isnull=True
    )
    if outlet := found.first():
        return outlet
    raise Http404


def _shown(outlet: Outlet) -> dict[str, Any]:
    url = str(outlet.address.get("url", ""))
    return {
        "row": outlet,
        "host": f"{urlsplit(url).hostname or ''}/…{url[-4:]}" if url else "",
        "trouble": explain(outlet.error) if outlet.error else "",
        "waiting": outlet.notices.filter(status="waiting").count(),
    }


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def outlets(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The business's outlets, and a form for one more."""
    theirs = Outlet.objects.filter(business=seat.business, member__isnull=True).select_related("team")
    form = Theirs(seat.business, request.POST or None, instance=Outlet(business=seat.business))
    if request.method == "POST" and form.is_valid():
        if theirs.count() >= MOST_OUTLETS:
            return refused(request, _("There are %d already. Remove one first.") % MOST_OUTLETS, "outlets")
        with transaction.atomic():
            made = form.save()
            audit.record("outlet_added", request.user, seat.business, made, request=request, way=made.way)
        return done(request, _("Added. Send a test to see that it arrives."), "outlets")
    context = {
        "form": form,
        "outlets": [_shown(each) for each in theirs],
        "quotes": Discretion.objects.filter(business=seat.business, quotes=True).exists(),
    }
    return show(request, seat, "desk/outlets.html", "outlets", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def outlet(request: HttpRequest, seat: Seat, outlet_id: int) -> HttpResponse:
    """Change one."""
    found = _outlet(seat, outlet_id)
    form = Theirs(seat.business, request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            audit.record("outlet_changed", request.user, seat.business, found, request=request)
        return done(request, _("Saved."), "outlets")
    context = {"form": form, "outlet": _shown(found)}
    return show(request, seat, "desk/outlet.html", "outlets", context, status=422 if form.errors else 200)


@require_POST
@desk(Role.ADMIN)
def try_outlet(request: HttpRequest, seat: Seat, outlet_id: int) -> HttpResponse:
    """Send a test now, and say what came back."""
    try:
        said = notices.try_out(_outlet(seat, outlet_id))
    except Trouble as trouble:
        return refused(request, explain(str(trouble)), "outlets")
    return done(request, _("It answered: %s") % said, "outlets")


@require_POST
@desk(Role.ADMIN)
def secret(request: HttpRequest, seat: Seat, outlet_id: int) -> HttpResponse:
    """Show what a webhook is signed with. Seen by whoever asks, in the answer to this alone."""
    found = _outlet(seat, outlet_id)
    if not found.address.get("secret"):
        raise Http404
    audit.record("outlet_secret_shown", request.user, seat.business, found, request=request)
    context = {
        "form": Theirs(seat.business, instance=found),
        "outlet": _shown(found),
        "secret": found.address["secret"],
    }
    return show(request, seat, "desk/outlet.html", "outlets", context)


@require_POST
@desk(Role.ADMIN)
def remove(request: HttpRequest, seat: Seat, outlet_id: int) -> HttpResponse:
    """Delete one; what waits for it is told to nobody."""
    found = _outlet(seat, outlet_id)
    with transaction.atomic():
        audit.record("outlet_removed", request.user, seat.business, found, request=request, way=found.way)
        found.delete()
    return done(request, _("Removed."), "outlets")


@require_POST
@desk(Role.ADMIN)
def discretion(request: HttpRequest, seat: Seat) -> HttpResponse:
    """May notices say the customers' last words?"""
    quotes = request.POST.get("quotes") == "on"
    with transaction.atomic():
        Discretion.objects.update_or_create(business=seat.business, defaults={"quotes": quotes})
        audit.record("discretion_changed", request.user, seat.business, request=request, quotes=quotes)
    return done(request, _("Saved."), "outlets")
