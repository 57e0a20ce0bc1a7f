"""The settings pages of handing over and of opening hours, which owners without the admin have too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import reverse

from prosa.business.models import Business
from prosa.business.people import Holiday, Membership, Role
from prosa.desk import handing_over
from prosa.desk.models import AuditEntry

Desk = Callable[[Membership], Client]
HOURS = "desk:opening-hours"
RULES = "desk:handing-over"


def entered(client: Client, address: str, form: str, **changed: Any) -> Any:
    """Post a page's form as a browser would: with what is in it, and what was changed."""
    shown = client.get(address).context[form]
    values = {
        bound.html_name: bound.value() for bound in shown if bound.value() is not None and bound.value() is not False
    }
    return client.post(address, values | changed, follow=True)


def kinds(business: Business) -> list[str]:
    return list(
        AuditEntry.objects.filter(business=business)
        .exclude(kind="signed_in")
        .order_by("pk")
        .values_list("kind", flat=True)
    )


def test_an_owner_without_the_admin_keeps_the_rules_of_handing_over(member: Any, at_desk: Desk, business: Business):
    client = at_desk(member("Ada", Role.OWNER))
    address = reverse(RULES)
    assert "Handing over to people" in client.get(reverse("desk:account")).content.decode()
    page = entered(client, address, "form", take_minutes="7", tell_handback="on").content.decode()
    assert "Saved." in page
    business.refresh_from_db()
    assert (business.take_minutes, business.tell_handback) == (7, True)
    assert kinds(business) == ["handoff_changed"]
    assert "Handing over to people changed" in client.get(reverse("desk:audit")).content.decode()
    answer = entered(client, address, "form", take_minutes="-1", handback_minutes="30")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    business.refresh_from_db()
    assert (business.take_minutes, business.handback_minutes) == (7, 0)
    entered(client, address, "form")  # nothing changed: nothing is written down
    assert kinds(business) == ["handoff_changed"]


def test_the_desk_has_every_field_of_handing_over_that_the_admin_has():
    sections = admin.site._registry[Business].fieldsets
    section = next(options["fields"] for _title, options in sections if "handoff_text" in str(options["fields"]))
    flat = [name for each in section for name in ([each] if isinstance(each, str) else each)]
    assert list(handing_over.Rules(instance=Business()).fields) == flat


def test_hours_are_kept_in_their_usual_spelling_and_wrong_ones_refused(member: Any, at_desk: Desk, business: Business):
    client = at_desk(member("Ada", Role.ADMIN))
    address = reverse(HOURS)
    assert "always open" in client.get(address).content.decode()
    entered(client, address, "week", hours_mon="9h-12h, 13-18", timezone="America/Bogota")
    business.refresh_from_db()
    assert (business.hours, business.timezone) == ({"mon": "09:00-12:00, 13:00-18:00"}, "America/Bogota")
    assert "09:00-12:00, 13:00-18:00" in client.get(address).content.decode()
    for wrong in ({"hours_tue": "whenever"}, {"timezone": "Mars/Base"}):
        answer = entered(client, address, "week", hours_wed="10-11", **wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.content.decode()
    business.refresh_from_db()
    assert (list(business.hours), business.timezone) == (["mon"], "America/Bogota")
    assert kinds(business) == ["hours_changed"]


def test_days_that_differ_come_and_go(member: Any, at_desk: Desk, business: Business, elsewhere: Business):
    client = at_desk(member("Ada", Role.ADMIN))
    add = reverse("desk:holiday-add")
    client.post(add, {"day": "2026-12-25", "name": "Natal", "hours": ""})
    client.post(add, {"day": "2026-12-24", "name": "Véspera", "hours": "9-12"})
    assert list(business.holidays.values_list("day", "hours")) == [
        (date(2026, 12, 24), "09:00-12:00"),
        (date(2026, 12, 25), ""),
    ]
    page = client.get(reverse(HOURS)).content.decode()
    assert "Natal" in page
    for wrong in ({"day": "2026-12-25"}, {"day": "soon"}, {"day": "2027-01-01", "hours": "x"}):
        answer = client.post(add, wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.content.decode()
    natal = business.holidays.get(name="Natal")
    client.post(reverse("desk:holiday-remove", args=[natal.pk]))
    assert business.holidays.count() == 1
    assert kinds(business) == ["holiday_added", "holiday_added", "holiday_removed"]
    theirs = Holiday.objects.create(business=elsewhere, day=date(2026, 12, 25))
    assert client.post(reverse("desk:holiday-remove", args=[theirs.pk])).status_code == 404
    assert Holiday.objects.filter(pk=theirs.pk).exists()


def test_agents_have_neither_page(bia: Membership, at_desk: Desk):
    client = at_desk(bia)
    for name in (RULES, HOURS):
        assert client.get(reverse(name)).status_code == 403
        assert client.post(reverse(name), {}).status_code == 403
    assert client.post(reverse("desk:holiday-add"), {"day": "2026-12-25"}).status_code == 403
