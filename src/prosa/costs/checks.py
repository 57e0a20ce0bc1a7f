"""What ``prosa doctor`` says about money: limits that were reached, and models whose price nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils.translation import gettext as _

from prosa.contracts import Finding
from prosa.hookspecs import hookimpl


@hookimpl
def doctor_checks() -> Iterable[Finding]:
    """One line per business that saves today, and one for models without a price in the last week."""
    from prosa.costs import spending  # plug-ins are loaded before Django is

    found = [
        Finding(
            "warning" if notice.level == "warning" else "error",
            _("free tier of %s") % notice.business if notice.title else _("budget of %s") % notice.business,
            f"{notice.name}: {notice.meaning}",
            _("Raise the limit under Free tiers or Budgets in the admin, or wait until it is over.")
            if notice.title
            else _("Raise the limit under Budgets in the admin, or wait for the next day."),
        )
        for notice in spending.notices()
    ]
    if models := spending.unpriced(timedelta(days=7)):
        found.append(
            Finding(
                "warning",
                _("prices"),
                _("The price of %s is not known, so no budget counts it.") % ", ".join(models),
                _("Enter it under Model prices in the admin."),
            )
        )
    return found or [Finding("ok", _("budgets"), _("No limit is reached, and every price is known."))]
