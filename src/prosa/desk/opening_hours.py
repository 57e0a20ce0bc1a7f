"""The settings page of when people are there: the time zone, the week, and the days that differ."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from prosa.business import hours, opening
from prosa.business.people import Holiday, Role
from prosa.business.zones import zone_named
from prosa.desk import audit
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, refused, show
from prosa.desk.handing_over import Part

MOST_HOLIDAYS = 200
NEAR = "America/"
"""Time zones that are proposed while one is written; every other can be written."""


class Week(Part):
    """The time zone and the usual week."""

    shown = ("timezone", *opening.FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in opening.FIELDS:
            self.fields[name].widget = forms.TextInput(
                attrs={"placeholder": _("closed"), "autocomplete": "off", "maxlength": 120}
            )
        self.fields["timezone"].widget.attrs.update({"list": "zones", "autocomplete": "off", "spellcheck": "false"})


class Day(opening.HolidayForm):
    """A day that differs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["day"].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _page(request: HttpRequest, seat: Seat, week: Week, day: Day) -> HttpResponse:
    business = seat.business
    zone = zone_named(business.timezone)
    now = timezone.now()
    days = list(business.holidays.all())
    kept = hours.read(business.hours, {each.day.isoformat(): each.hours for each in days}, zone)
    context = {
        "week": week,
        "day": day,
        "holidays": days,
        "today": now.astimezone(zone).date(),
        "open": kept.open_at(now),
        "always": kept.always,
        "opens": kept.next_opening(now),
        "example": opening.EXAMPLE,
        "zones": sorted(each for each in available_timezones() if each.startswith(NEAR) and each.count("/") == 1),
    }
    wrong = bool(week.errors or day.errors)
    return show(request, seat, "desk/opening_hours.html", "opening-hours", context, status=422 if wrong else 200)


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The week and the days that differ; POST keeps the week."""
    form = Week(request.POST or None, instance=seat.business)
    if request.method == "POST" and form.is_valid():
        if form.changed_data:
            form.instance.hours = opening.week(form.cleaned_data)
            with transaction.atomic():
                form.instance.save(update_fields=["timezone", "hours"])
                audit.record("hours_changed", request.user, seat.business, form.told, request=request)
        return done(request, _("Saved."), "opening-hours")
    seat.business.refresh_from_db(fields=["timezone", "hours"])  # what could not be kept is not shown as if it were
    return _page(request, seat, form, Day())


@require_POST
@desk(Role.ADMIN)
def add(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A day that differs more."""
    form = Day(request.POST, instance=Holiday(business=seat.business))
    if not form.is_valid():
        return _page(request, seat, Week(instance=seat.business), form)
    if seat.business.holidays.count() >= MOST_HOLIDAYS:
        return refused(request, _("There are %d already. Remove one first.") % MOST_HOLIDAYS, "opening-hours")
    try:
        with transaction.atomic():
            made = form.save()
            audit.record("holiday_added", request.user, seat.business, made, request=request, hours=made.hours)
    except IntegrityError:
        form.add_error("day", _("This day is in the list already."))
        return _page(request, seat, Week(instance=seat.business), form)
    return done(request, _("Added."), "opening-hours")


@require_POST
@desk(Role.ADMIN)
def remove(request: HttpRequest, seat: Seat, holiday_id: int) -> HttpResponse:
    """The day is as every other again."""
    found = seat.business.holidays.filter(pk=holiday_id).first()
    if found is None:
        raise Http404
    with transaction.atomic():
        audit.record("holiday_removed", request.user, seat.business, found, request=request, hours=found.hours)
        found.delete()
    return done(request, _("Removed."), "opening-hours")
