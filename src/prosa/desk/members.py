"""Who works for the business: the list, what each may do, how much they are given, and their leaving.

An administrator manages agents and viewers and other administrators; owners are managed by owners, and one always stays.
"""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from prosa.business.models import Business
from prosa.business.people import RANK, Invitation, Membership, Role
from prosa.business.users import called
from prosa.conversations import ownership
from prosa.conversations.models import Conversation, State
from prosa.conversations.ownership import NOBODY, Wish
from prosa.conversations.states import Move
from prosa.desk import audit
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, refused, show
from prosa.desk.second_factor import has_second_step
from prosa.errors import BadInput, NotAllowed

log = logging.getLogger(__name__)


def grantable(seat: Seat) -> list[tuple[str, Any]]:
    """The roles this person may give: nobody gives more than they have."""
    return [(role.value, role.label) for role in Role if RANK[role] <= RANK[Role(seat.member.role)]]


def _manages(seat: Seat, member: Membership) -> bool:
    return seat.may(Role.ADMIN) and (seat.may(Role.OWNER) or member.role != Role.OWNER)


def change(seat: Seat, member_id: int, role: str, capacity: int, request: HttpRequest | None = None) -> Membership:
    """Give a member a role and a capacity. Whoever may only look from now on has nothing in hand any more.

    :raises NotAllowed: it concerns an owner and the person is none, or nobody would be owner any more.
    :raises Http404: nobody of that number works here.
    """
    with transaction.atomic():
        member = _locked(seat, member_id)
        if not _manages(seat, member) or (role == Role.OWNER and not seat.may(Role.OWNER)):
            raise NotAllowed(_("Only owners make and change owners."))
        if member.role == Role.OWNER and role != Role.OWNER:
            _one_stays(seat.business, member)
        if role != member.role:
            audit.record(
                "role_changed", seat.member.user, seat.business, called(member.user), request=request,
                old=member.role, new=role,
            )  # fmt: skip
        if capacity != member.capacity:
            audit.record(
                "capacity_changed", seat.member.user, seat.business, called(member.user), request=request,
                old=member.capacity, new=capacity,
            )  # fmt: skip
        lower = RANK[Role(role)] < RANK[Role(member.role)]
        member.role, member.capacity = role, capacity
        member.save(update_fields=["role", "capacity"])
        if lower:
            _uninvite(seat, member, request)
    if not member.may(Role.AGENT):
        _relieve(seat, member, "viewer")
    return member


def remove(seat: Seat, member_id: int, request: HttpRequest | None = None) -> Membership:
    """A member leaves: their row stays, with what they wrote; what they had in hand waits for somebody else.

    :raises NotAllowed: it concerns an owner and the person is none, or nobody would be owner any more.
    :raises Http404: nobody of that number works here.
    """
    with transaction.atomic():
        member = _locked(seat, member_id)
        if not _manages(seat, member):
            raise NotAllowed(_("Only owners make and change owners."))
        if member.role == Role.OWNER:
            _one_stays(seat.business, member)
        member.left_at = timezone.now()
        member.save(update_fields=["left_at"])
        member.teams.clear()
        _uninvite(seat, member, request)
        audit.record("removed", seat.member.user, seat.business, called(member.user), request=request)
    _relieve(seat, member, "left")
    return member


def _relieve(seat: Seat, member: Membership, why: str) -> None:
    """What they have in hand waits for somebody else. What they are given in this very moment, the rota takes from them."""
    theirs = Conversation.objects.filter(
        business=seat.business, assignee=member, state__in=(State.AWAITING_AGENT, State.AGENT_ACTIVE)
    )
    for conversation_id, epoch in list(theirs.values_list("pk", "epoch")):
        try:
            ownership.act(
                conversation_id,
                Wish(
                    Move.ASSIGN, seat.actor, {"member": "", "team": "", "why": why}, assignee=NOBODY, known_epoch=epoch
                ),
            )
        except NotAllowed:  # it ended or moved a moment ago: nothing is left to be done
            log.info("Conversation %s of a member who may not answer any more had moved on", conversation_id)


def _uninvite(seat: Seat, member: Membership, request: HttpRequest | None) -> None:
    """Withdraw what would undo that somebody left or was demoted: open invitations by them that they may give no more, and for
    them to more than they have now."""
    user = member.user
    theirs = {str(getattr(user, user.get_email_field_name(), "") or "").casefold(), user.get_username().casefold()}
    for each in Invitation.objects.filter(business=seat.business, accepted_at=None, revoked_at=None):
        role = Role(each.role)
        by_them = each.invited_by_id == user.pk and not (member.may(Role.ADMIN) and member.may(role))
        for_them = each.email.casefold() in theirs and not member.may(role)
        if by_them or for_them:
            Invitation.objects.filter(pk=each.pk).update(revoked_at=timezone.now())
            audit.record("invitation_withdrawn", seat.member.user, seat.business, each.email, request=request)


def _locked(seat: Seat, member_id: int) -> Membership:
    # The business's row is the lock: two owners who remove each other at once must not both succeed.
    Business.objects.select_for_update(no_key=True).get(pk=seat.business.pk)
    # What the mover may do is read again: they themselves may have been demoted meanwhile.
    seat.member.refresh_from_db(fields=["role", "left_at"])
    member = (
        Membership.objects.select_related("user").filter(business=seat.business, left_at=None, pk=member_id).first()
    )
    if member is None:
        raise Http404
    return member


def _one_stays(business: Business, leaving: Membership) -> None:
    if not business.members.filter(role=Role.OWNER, left_at=None).exclude(pk=leaving.pk).exists():
        raise NotAllowed(_("They are the last owner.\nMake somebody else an owner first."))


class InviteForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[], initial=Role.AGENT)

    def __init__(self, seat: Seat, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seat = seat
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  for the type checker
        field.choices = grantable(seat)

    def clean_email(self) -> str:
        """Somebody who does not work here yet."""
        email: str = self.cleaned_data["email"]
        users = get_user_model()
        name = users.get_email_field_name()
        here = Membership.objects.filter(business=self.seat.business, left_at=None, **{f"user__{name}__iexact": email})
        if here.exists():
            raise forms.ValidationError(_("Whoever has this address works here already."))
        return email


class MemberForm(forms.Form):
    """What a member may do, and how much they are given."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[])
    capacity = forms.IntegerField(
        label=gettext_lazy("Conversations at a time"),
        min_value=0,
        max_value=1000,
        help_text=gettext_lazy("How many the rota gives to this person at once. 0: none; they take what they want."),
    )

    def __init__(self, seat: Seat, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  for the type checker
        field.choices = grantable(seat)


def listing(
    request: HttpRequest,
    seat: Seat,
    form: InviteForm | None = None,
    *,
    status: int = 200,
    link: str = "",
    email: str = "",
) -> HttpResponse:
    """The page of all members and open invitations. ``link``: of an invitation that no mail could carry, shown this once."""
    members = list(
        seat.business.members.filter(left_at=None).select_related("user").prefetch_related("teams").order_by("pk")
    )
    secured = has_second_step(each.user_id for each in members)
    members.sort(key=lambda each: (-RANK[Role(each.role)], called(each.user).casefold()))
    context = {
        "members": [
            {"it": each, "manages": _manages(seat, each), "secured": each.user_id in secured} for each in members
        ],
        "invitations": [
            {"it": each, "over": each.expires_at <= timezone.now()}
            for each in Invitation.objects.filter(business=seat.business, accepted_at=None, revoked_at=None).order_by(
                "-pk"
            )
        ],
        "form": form or InviteForm(seat),
        "link": link,
        "email": email,
    }
    return show(request, seat, "desk/members.html", "members", context, status=status)


@require_GET
@desk(Role.ADMIN)
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Everybody who works here, and whom was written to."""
    return listing(request, seat)


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def one(request: HttpRequest, seat: Seat, member_id: int) -> HttpResponse:
    """One member: see and change."""
    member = seat.business.members.filter(left_at=None, pk=member_id).select_related("user").first()
    if member is None:
        raise Http404
    may = _manages(seat, member)
    form = MemberForm(seat, request.POST or None, initial={"role": member.role, "capacity": member.capacity})
    status = 200
    if request.method == "POST":
        if not may:
            return refused(request, _("Only owners make and change owners."), "members")
        if form.is_valid():
            try:
                change(seat, member_id, form.cleaned_data["role"], form.cleaned_data["capacity"], request)
            except (NotAllowed, BadInput) as error:
                return refused(request, str(error), "member", member_id)
            if member.user_id == seat.member.user_id and not seat.may(Role.ADMIN):
                return done(request, _("Your own role is changed."), "account")
            return done(request, _("Saved."), "members")
        status = 422
    context = {"member": member, "may": may, "form": form, "teams": member.teams.all()}
    return show(request, seat, "desk/member.html", "members", context, status=status)


@require_POST
@desk(Role.ADMIN)
def leave(request: HttpRequest, seat: Seat, member_id: int) -> HttpResponse:
    """A member works here no more."""
    try:
        member = remove(seat, member_id, request)
    except NotAllowed as error:
        return refused(request, str(error), "member", member_id)
    said = _("%s does not work here any more.") % called(member.user)
    return done(request, said, "dashboard" if member.pk == seat.member.pk else "members")
