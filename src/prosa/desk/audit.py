"""The audit log: who did what to the people of a business, and who came in. What happens to a conversation is on its timeline.

An entry is written in the transaction of the deed, by :func:`record`; the page is for owners and administrators.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET

from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.business.users import called
from prosa.business.zones import zone_named
from prosa.desk.access import Seat, desk
from prosa.desk.frame import show
from prosa.desk.models import AuditEntry

PAGE = 50
MOST_SUBJECT = 200

KINDS = {
    "signed_in": gettext_noop("Signed in"),
    "signed_out": gettext_noop("Signed out"),
    "password_failed": gettext_noop("Wrong password"),
    "second_step_failed": gettext_noop("Wrong code in the second step"),
    "second_step_on": gettext_noop("Two-step sign-in turned on"),
    "second_step_off": gettext_noop("Two-step sign-in turned off"),
    "recovery_used": gettext_noop("Signed in with a recovery code"),
    "recovery_renewed": gettext_noop("New recovery codes"),
    "password_changed": gettext_noop("Password changed"),
    "password_reset": gettext_noop("Password set anew by e-mail"),
    "sessions_ended": gettext_noop("Other browsers signed out"),
    "invited": gettext_noop("Invited"),
    "invitation_sent_again": gettext_noop("Invitation sent again"),
    "invitation_withdrawn": gettext_noop("Invitation withdrawn"),
    "joined": gettext_noop("Joined"),
    "role_changed": gettext_noop("Role changed"),
    "capacity_changed": gettext_noop("Conversations at a time changed"),
    "removed": gettext_noop("Removed"),
    "available": gettext_noop("Available"),
    "away": gettext_noop("Away"),
    "team_made": gettext_noop("Team made"),
    "team_changed": gettext_noop("Team changed"),
    "team_deleted": gettext_noop("Team deleted"),
    "handoff_changed": gettext_noop("Handing over to people changed"),
    "hours_changed": gettext_noop("Opening hours changed"),
    "holiday_added": gettext_noop("Day that differs added"),
    "holiday_removed": gettext_noop("Day that differs removed"),
    "canned_made": gettext_noop("Canned reply made"),
    "canned_changed": gettext_noop("Canned reply changed"),
    "canned_deleted": gettext_noop("Canned reply deleted"),
    "label_made": gettext_noop("Label made"),
    "label_changed": gettext_noop("Label changed"),
    "label_removed": gettext_noop("Label removed"),
    "fact_erased": gettext_noop("Something remembered of a customer erased"),
    "admin_added": gettext_noop("Added in the admin"),
    "admin_changed": gettext_noop("Changed in the admin"),
    "admin_deleted": gettext_noop("Deleted in the admin"),
    "outlet_added": gettext_noop("Slack or webhook added"),
    "outlet_changed": gettext_noop("Slack or webhook changed"),
    "outlet_removed": gettext_noop("Slack or webhook removed"),
    "outlet_secret_shown": gettext_noop("Secret of a webhook shown"),
    "contacts_merged": gettext_noop("Contacts merged"),
    "contacts_unmerged": gettext_noop("Merge of contacts undone"),
    "discretion_changed": gettext_noop("What notifications say changed"),
}
"""What is recorded → as people read it."""
ADMIN_KINDS = {1: "admin_added", 2: "admin_changed", 3: "admin_deleted"}
"""``LogEntry.action_flag`` → what is recorded."""


def address_of(request: HttpRequest | None) -> str | None:
    """Where a request came from; the server has believed the proxies it may believe."""
    return (request.META.get("REMOTE_ADDR") or None) if request is not None else None


def record(
    kind: str,
    user: Any,
    business: Business | None,
    subject: object = "",
    *,
    request: HttpRequest | None = None,
    **details: Any,
) -> None:
    """Write down a deed, in the caller's transaction. ``kind``: one of :data:`KINDS`."""
    AuditEntry.objects.create(
        business=business,
        user=user,
        kind=kind,
        subject=str(subject)[:MOST_SUBJECT],
        data=details,
        address=address_of(request),
    )


def record_everywhere(kind: str, user: Any, *, request: HttpRequest | None = None, **details: Any) -> None:
    """Write down what a user did to their own account, in the log of every business they work for."""
    places = Membership.objects.filter(user=user, left_at=None).values_list("business_id", flat=True)
    AuditEntry.objects.bulk_create(
        AuditEntry(business_id=each, user=user, kind=kind, data=details, address=address_of(request)) for each in places
    )


# ── what was changed in the admin ──


def listen() -> None:
    """Hear of the admin's own log, where there is an admin. What it deletes by the dozen it does not tell of."""
    if apps.is_installed("django.contrib.admin"):
        from django.contrib.admin.models import LogEntry

        post_save.connect(from_admin, sender=LogEntry, dispatch_uid="prosa.desk.audit")


def from_admin(instance: Any, *, created: bool, **_: Any) -> None:
    """Copy a line of the admin's log, in its transaction, to the log of the business that it concerns."""
    model = instance.content_type.model_class() if instance.content_type else None
    if not created or model is None or not model._meta.app_label.startswith("prosa_"):  # noqa: SLF001  Django documents it
        return
    # It is still there when it is about to be deleted.
    thing = model._default_manager.filter(pk=instance.object_id).first()  # noqa: SLF001  as above
    business = _business_of(thing)
    if business is not None:
        kind = ADMIN_KINDS.get(instance.action_flag, "admin_changed")
        said = {"model": model._meta.label_lower, "said": instance.change_message}  # noqa: SLF001  as above
        record(kind, instance.user, business, instance.object_repr, **said)


def _business_of(thing: Any) -> Business | None:
    """Whose a row is; None where that cannot be known."""
    if thing is None or isinstance(thing, Business):
        return thing
    found = getattr(thing, "business", None) or getattr(getattr(thing, "inbox", None), "business", None)
    return found if isinstance(found, Business) else None


def _from_admin(data: dict[str, Any]) -> str:
    """What was changed of what, in the reader's language."""
    from django.contrib.admin.models import LogEntry

    try:
        name = str(apps.get_model(data["model"])._meta.verbose_name)  # noqa: SLF001  Django documents it
    except (LookupError, ValueError):
        name = str(data["model"])
    return f"({name}) {LogEntry(change_message=str(data.get('said', ''))).get_change_message()}".strip()


# ── the page ──


@require_GET
@desk(Role.ADMIN)
def page(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The log, newest first; ``kind``, ``who``, ``on`` (a day) and ``before`` (an entry) narrow it."""
    entries = AuditEntry.objects.filter(business=seat.business).select_related("user")
    kind, who, on = (request.GET.get(name, "") for name in ("kind", "who", "on"))
    if kind in KINDS:
        entries = entries.filter(kind=kind)
    if who.isdecimal():
        entries = entries.filter(user_id=int(who[:18]))
    if day := _day(on):
        begin = datetime.combine(day, time(), zone_named(seat.business.timezone))
        entries = entries.filter(created_at__gte=begin, created_at__lt=begin + timedelta(days=1))
    before = request.GET.get("before", "")
    if before.isdecimal():
        entries = entries.filter(pk__lt=int(before[:18]))
    found = list(entries.order_by("-pk")[: PAGE + 1])
    known = AuditEntry.objects.filter(business=seat.business, user__isnull=False).values("user_id")
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "rows": [
            {
                "entry": each,
                "what": _(KINDS[each.kind]) if each.kind in KINDS else each.kind,
                "details": _told(each.data),
            }
            for each in found[:PAGE]
        ],
        "more": found[PAGE - 1].pk if len(found) > PAGE else None,
        "query": query.urlencode(),
        "kinds": [(name, _(label)) for name, label in KINDS.items()],
        "people": [(str(each.pk), called(each)) for each in get_user_model()._default_manager.filter(pk__in=known)],  # noqa: SLF001  the documented way to a custom user model's manager
        "kind": kind,
        "who": who,
        "on": day.isoformat() if day else "",
        "narrowed": bool(kind or who or on),
    }
    return show(request, seat, "desk/audit.html", "audit", context)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year < 3000 else None


def _told(data: dict[str, Any]) -> str:
    """The details in one line: ``from → to`` where something changed."""
    roles = dict(Role.choices)

    def said(value: Any) -> str:
        return str(roles.get(value, value)) if isinstance(value, str) else f"({value})"

    if "model" in data:
        return _from_admin(data)
    if {"old", "new"} <= data.keys():
        return " → ".join(said(data[name]).strip("()") for name in ("old", "new"))
    return ", ".join(said(value) for value in data.values() if value not in ("", None))
