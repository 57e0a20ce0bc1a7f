"""The app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DeskConfig(AppConfig):
    """Its label never changes, whatever its package is called."""

    name = "prosa.desk"
    label = "prosa_desk"
    verbose_name = _("Desk")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from prosa.desk import audit, sessions

        sessions.listen()
        audit.listen()
