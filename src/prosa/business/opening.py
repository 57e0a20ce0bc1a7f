"""The opening hours of a business as people write them: a line for each day of the week, and the days that differ."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from prosa.business import hours
from prosa.business.people import Holiday

EXAMPLE = "09:00-12:00, 13:00-18:00"
FIELDS = tuple(f"hours_{day}" for day in hours.DAYS)
"""Names of the form's fields, Monday first."""


def checked(text: str) -> str:
    """One day's hours in their usual spelling, or empty.

    :raises forms.ValidationError: they cannot be read.
    """
    try:
        found = hours.spans(text)
    except ValueError:
        raise forms.ValidationError(
            _("“%(text)s” are no opening hours. Write them as in %(example)s, one after the other; empty is closed."),
            params={"text": text, "example": EXAMPLE},
        ) from None
    return ", ".join(f"{_clock(begin)}-{_clock(end)}" for begin, end in found)


def _clock(minutes: int) -> str:
    if minutes > 24 * 60:
        minutes -= 24 * 60
    return f"{minutes // 60:02}:{minutes % 60:02}"


class HoursField(forms.CharField):
    """The hours of one day of the week (0 is Monday)."""

    def __init__(self, day: int) -> None:
        attributes = {"placeholder": EXAMPLE} if day == 0 else {}
        super().__init__(
            label=WEEKDAYS[day], required=False, max_length=120, widget=UnfoldAdminTextInputWidget(attrs=attributes)
        )

    def clean(self, value: Any) -> str:
        """:raises forms.ValidationError: no hours."""
        return checked(super().clean(value))


class HolidayForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """A day that differs."""

    class Meta:
        model = Holiday
        fields = ("day", "name", "hours")

    def clean_hours(self) -> str:
        """Hours that can be read."""
        return checked(self.cleaned_data["hours"])


class HolidayInline(TabularInline):  # type: ignore[misc]  # unfold is untyped
    """The days on which the business keeps other hours."""

    model = Holiday
    form = HolidayForm
    extra = 0
    hide_title = True
    fields = ("day", "name", "hours")


def week(cleaned: dict[str, Any]) -> dict[str, str]:
    """The stored week of a form's cleaned values; days without hours are left out."""
    return {day: cleaned[name] for day, name in zip(hours.DAYS, FIELDS, strict=True) if cleaned.get(name)}
