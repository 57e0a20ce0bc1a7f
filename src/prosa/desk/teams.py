"""Teams: who shares which conversations. The assistant chooses a team by what it is for; one may receive the rest."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.business.users import called
from prosa.desk import audit
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, show


class _Colleagues(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic only to the type checker
    def label_from_instance(self, obj: Membership) -> str:
        return called(obj.user)


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """A team and who is in it."""

    members = _Colleagues(
        label=gettext_lazy("Members"), queryset=None, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Team
        fields = ["name", "about", "fallback", "members"]

    def __init__(self, business: Business, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.business = business
        field = self.fields["members"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  for the type checker
        field.queryset = business.members.filter(left_at=None).exclude(role=Role.VIEWER).select_related("user")

    def clean_name(self) -> str:
        """One team of a name, whatever its capitals."""
        name: str = self.cleaned_data["name"].strip()
        if Team.objects.filter(business=self.business, name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("There is a team of this name already."))
        return name


def keep(seat: Seat, form: TeamForm, kind: str, request: HttpRequest) -> Team:
    """Store a valid form. There is at most one team for the rest: a new one takes over."""
    with transaction.atomic():
        # Two who make the same team at once are put in order, and so is who receives the rest.
        Business.objects.select_for_update(no_key=True).get(pk=seat.business.pk)
        team: Team = form.save(commit=False)
        team.business = seat.business
        if team.fallback:
            seat.business.teams.filter(fallback=True).exclude(pk=team.pk).update(fallback=False)
        team.save()
        form.save_m2m()
        names = ", ".join(sorted(called(each.user) for each in team.members.select_related("user")))
        audit.record(kind, seat.member.user, seat.business, team.name, request=request, members=names)
    return team


def _team(seat: Seat, team_id: int) -> Team:
    found = seat.business.teams.filter(pk=team_id).first()
    if found is None:
        raise Http404
    return found


@require_GET
@desk(Role.ADMIN)
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """All teams."""
    teams = seat.business.teams.prefetch_related("members__user")
    rows = [
        {"it": each, "names": ", ".join(called(one.user) for one in each.members.all() if one.left_at is None)}
        for each in teams
    ]
    return show(request, seat, "desk/teams.html", "teams", {"teams": rows})


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def one(request: HttpRequest, seat: Seat, team_id: int | None = None) -> HttpResponse:
    """A team, or a new one."""
    team = _team(seat, team_id) if team_id is not None else Team(business=seat.business)
    name = team.name
    form = TeamForm(seat.business, request.POST or None, instance=team)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            keep(seat, form, "team_changed" if team_id else "team_made", request)
            return done(request, _("Saved."), "teams")
        status = 422
    return show(request, seat, "desk/team.html", "teams", {"team": team, "name": name, "form": form}, status=status)


@require_POST
@desk(Role.ADMIN)
def delete(request: HttpRequest, seat: Seat, team_id: int) -> HttpResponse:
    """A team is no more. Conversations that waited for it wait for anybody."""
    with transaction.atomic():
        team = _team(seat, team_id)
        audit.record("team_deleted", seat.member.user, seat.business, team.name, request=request)
        team.delete()
    return done(request, _("The team “%s” is deleted.") % team.name, "teams")
