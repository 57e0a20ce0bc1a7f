"""``prosa setup``: everything an installation needs before its first message. Safe to repeat, also by several at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction

from prosa import conf
from prosa.business.models import Business, Guideline
from prosa.business.people import Membership, Role
from prosa.channels import base
from prosa.channels.models import Inbox
from prosa.cli.boot import EVERYWHERE, hosted
from prosa.costs import prices
from prosa.errors import ConfigurationError
from prosa.postgres.readiness import unapplied

LOCK = 0x50524F5345545550
"""Advisory lock held while setting up ("PROSETUP")."""


@dataclass(slots=True)
class Made:
    """What there is now. ``password`` is set only when it was made up just now; ``webhooks`` are (inbox, URL)."""

    admin: str = ""
    password: str = ""
    webhooks: list[tuple[str, str]] = field(default_factory=list)


def setup(report: Callable[[str], Any], *, demo: bool = False) -> Made:
    """Bring the installation up to date. ``report`` hears what is being done.

    In a host project, which migrates and has accounts by itself, only Prosa's own rows are made.

    :raises ConfigurationError: an inbox in the environment is incomplete, or the host project is not migrated.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [LOCK])
        try:
            if not hosted():
                report("Updating the database…")
                call_command("migrate", interactive=False, verbosity=0)
            elif missing := unapplied():
                raise ConfigurationError(
                    f"{len(missing)} migrations are not applied, first {missing[0]}.\nRun: manage.py migrate"
                )
            report("Preparing inboxes and accounts…")
            with transaction.atomic():
                made = _furnish(demo=demo)
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", [LOCK])
    return made


def _furnish(*, demo: bool) -> Made:
    settings = conf.settings()
    wanted = from_environment(settings)
    if demo:
        from prosa.cli.demo import furnish

        furnish(settings.port, _inbox)
    if wanted or not Business.objects.exists():
        business = _first_business()
        for kind, credentials, token in wanted:
            _inbox(business, kind, kind.replace("_", " ").title(), "main", credentials, token)
        _inbox(business, "rest", "API", "main", {})
    prices.seed()
    made = Made()
    if not hosted():
        made.admin, made.password = _administrator(settings)
        _owner(made.admin)
    # A host project's address is known only to itself, until PROSA_PUBLIC_URL tells.
    if settings.public_url or not hosted():
        made.webhooks = [
            (inbox.name, webhook_url(settings, inbox))
            for inbox in Inbox.objects.filter(active=True).exclude(kind="rest")
        ]
    return made


def from_environment(settings: conf.Settings) -> list[tuple[str, dict[str, str], str]]:
    """Inboxes the variables ``WHATSAPP_*`` and ``TWILIO_*`` describe: kind, credentials, verify token ("" = make one up)."""
    found: list[tuple[str, dict[str, str], str]] = []
    if settings.whatsapp_phone_number_id and settings.whatsapp_token.get_secret_value():
        credentials = {
            "token": settings.whatsapp_token.get_secret_value(),
            "phone_number_id": settings.whatsapp_phone_number_id,
            "app_secret": settings.whatsapp_app_secret.get_secret_value(),
            "graph_url": settings.whatsapp_graph_url,
        }
        found.append(("whatsapp_cloud", credentials, settings.whatsapp_verify_token.get_secret_value()))
    if (
        settings.twilio_account_sid
        and settings.twilio_auth_token.get_secret_value()
        and settings.twilio_whatsapp_number
    ):
        credentials = {
            "account_sid": settings.twilio_account_sid,
            "auth_token": settings.twilio_auth_token.get_secret_value(),
            "number": settings.twilio_whatsapp_number.removeprefix("whatsapp:"),
            "api_url": settings.twilio_api_url,
        }
        found.append(("twilio", credentials, ""))
    return [
        (kind, {name: value for name, value in credentials.items() if value}, token)
        for kind, credentials, token in found
    ]


def webhook_url(settings: conf.Settings, inbox: Inbox) -> str:
    """The address to give to the provider."""
    host = "localhost" if settings.host in EVERYWHERE else settings.host
    root = settings.public_url or f"http://{host}:{settings.port}"
    return f"{root}/webhook/{inbox.kind}/{inbox.slug}/"


def _first_business() -> Business:
    """The oldest business that is not the demo; made when there is none."""
    from prosa.cli.demo import SLUG

    business = Business.objects.exclude(slug=SLUG).order_by("id").first()
    if business is None:
        business = Business.objects.create(name="Prosa", slug="main")
        Guideline.objects.create(business=business)
    return business


def _inbox(
    business: Business, kind: str, name: str, slug: str, credentials: Mapping[str, str], token: str = ""
) -> Inbox:
    """Make the inbox, or renew the credentials of the one that already serves this number."""
    key = base.provider(kind).routing_key(credentials)
    inbox = Inbox.objects.filter(kind=kind, routing_key=key).first() if key else None
    inbox = inbox or Inbox.objects.filter(kind=kind, slug=slug).first()
    if inbox is None:
        inbox = Inbox(business=business, kind=kind, slug=slug, name=name)
        inbox.is_default = not Inbox.objects.filter(kind=kind, is_default=True).exists()
    before = (inbox.pk, inbox.routing_key, dict(inbox.credentials), inbox.verify_token)
    inbox.routing_key = key
    inbox.credentials = {**inbox.credentials, **credentials}
    inbox.verify_token = token or inbox.verify_token
    if before != (inbox.pk, inbox.routing_key, inbox.credentials, inbox.verify_token) or inbox.pk is None:
        inbox.save()
    return inbox


def _administrator(settings: conf.Settings) -> tuple[str, str]:
    """The administrator's user name, and the password if it was made up now. An existing account keeps its password."""
    users = get_user_model()._default_manager  # noqa: SLF001  the documented way to a custom user model's manager
    name = settings.admin_email or "admin"
    if not settings.admin_email:
        existing = users.filter(is_superuser=True).order_by("pk").first()
        if existing is not None:
            return existing.get_username(), ""
    if users.filter(username=name).exists():
        return name, ""
    given = settings.admin_password.get_secret_value()
    password = given or secrets.token_urlsafe(12)
    users.create_superuser(username=name, email=settings.admin_email, password=password)
    return name, "" if given else password


def _owner(name: str) -> None:
    """The administrator owns the first business. Where they are known already, as whatever, or were removed, nothing changes."""
    users = get_user_model()
    user = users._default_manager.get_by_natural_key(name)  # noqa: SLF001  as above
    business = Business.objects.order_by("id").first()
    if business is not None:
        Membership.objects.get_or_create(business=business, user=user, defaults={"role": Role.OWNER, "capacity": 0})
