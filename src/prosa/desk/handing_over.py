"""The settings page of when people are called, and what happens until one comes. The fields are those of the admin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from prosa.business.admin import BusinessAdmin, BusinessForm
from prosa.business.people import Role
from prosa.desk import audit
from prosa.desk.access import Seat, desk
from prosa.desk.frame import done, show


def _flat(fields: Iterable[Any]) -> Iterator[str]:
    for each in fields:
        if isinstance(each, str):
            yield each
        else:
            yield from _flat(each)


def of_admin(name: str) -> tuple[str, ...]:
    """The fields that stand in one section of the business's admin page with this one."""
    sections = [tuple(_flat(options["fields"])) for _title, options in BusinessAdmin.fieldsets]
    return next(section for section in sections if name in section)


class Part(BusinessForm):
    """A section of the business's form: what is in ``shown``, under the admin's checks, saved alone."""

    shown: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(self.fields) - set(self.shown):
            del self.fields[name]
        self.order_fields(self.shown)
        for field in self.fields.values():
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = 4

    @property
    def told(self) -> str:
        """What was changed, as the audit log says it."""
        return ", ".join(str(self.fields[name].label) for name in self.changed_data)


class Rules(Part):
    """When people are called."""

    shown = of_admin("handoff_text")


@require_http_methods(["GET", "POST"])
@desk(Role.ADMIN)
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rules of handing over; POST keeps them."""
    form = Rules(request.POST or None, instance=seat.business)
    if request.method == "POST" and form.is_valid():
        if form.changed_data:
            with transaction.atomic():
                form.instance.save(update_fields=form.changed_data)
                audit.record("handoff_changed", request.user, seat.business, form.told, request=request)
        return done(request, _("Saved."), "handing-over")
    return show(
        request, seat, "desk/handing_over.html", "handing-over", {"form": form}, status=422 if form.errors else 200
    )
