"""Prosa as part of a Django project: what goes into ``INSTALLED_APPS``, and what a project must offer."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.db import connection

APPS = (
    "procrastinate.contrib.django",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "prosa",
    "prosa.business",
    "prosa.costs",
    "prosa.contacts",
    "prosa.channels",
    "prosa.knowledge",
    "prosa.conversations",
    "prosa.desk",
)
"""For a host project: ``INSTALLED_APPS = [..., *APPS]``. Future versions may bring more."""


class ProsaConfig(AppConfig):
    """Brings ``manage.py prosa``, the translations and the checks; it has no tables."""

    name = "prosa"
    label = "prosa"

    def ready(self) -> None:
        """Take part in ``manage.py check``."""
        checks.register(examine)


def examine(**_: Any) -> list[checks.CheckMessage]:
    """What would make Prosa fail later, or quietly be incomplete, in this project."""
    found: list[checks.CheckMessage] = []
    missing = [name for name in APPS if not apps.is_installed(name)]
    if missing:
        found.append(
            checks.Error(
                f"Prosa needs {', '.join(missing)} in INSTALLED_APPS.",
                hint="from prosa.apps import APPS; INSTALLED_APPS = [..., *APPS]",
                id="prosa.E001",
            )
        )
    if connection.vendor != "postgresql":
        found.append(
            checks.Error(
                f"Prosa keeps its rows in PostgreSQL, but the default database is {connection.vendor}.",
                hint="Point DATABASES['default'] at PostgreSQL 15 or later.",
                id="prosa.E002",
            )
        )
    if not settings.USE_TZ:
        found.append(
            checks.Error(
                "Prosa's times carry their zone, but USE_TZ is False.", hint="Set USE_TZ = True.", id="prosa.E003"
            )
        )
    if apps.is_installed("django.contrib.admin") and not apps.is_installed("unfold"):
        found.append(
            checks.Info(
                "Prosa's pages are left out of the admin, because django-unfold is not in INSTALLED_APPS.",
                hint='Put "unfold" before "django.contrib.admin" to have them.',
                id="prosa.I001",
            )
        )
    return found
