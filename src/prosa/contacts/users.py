"""The users of this installation as a register of customers, by their e-mail address; off unless the host wants it.

Users belong to the platform, businesses to its tenants. Turned on (``PROSA_LINK_USERS``), the people of *every* business
here are told which user has the address a contact of theirs is known by. That is right where the businesses are one
company, or where users are told so. Elsewhere write a register that looks among the customers of that business only
(``hookspecs.customer_registers``). People never search users by hand: it would tell any business who uses the platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from prosa import conf
from prosa.business.users import active, called, has_field
from prosa.contracts import Candidate, CustomerRegister, Identity
from prosa.hookspecs import hookimpl

KIND = "user"
MOST = 20


def find(_business_id: int, identities: Sequence[Identity]) -> Iterable[Candidate]:
    """Users that may sign in and have the e-mail address, or are the signed id, of one of these identities."""
    users = get_user_model()
    name = users.get_email_field_name()
    if not has_field(name):
        return []
    found: dict[str, Candidate] = {}
    for each in identities:
        wanted = (
            {f"{name}__iexact": each.value}
            if each.kind == "email"
            else {"pk": each.value}
            if each.kind == "signed"
            else None
        )
        if wanted and each.value:
            try:
                rows = list(users._default_manager.filter(active(), **wanted)[:MOST])  # noqa: SLF001  the documented way to a custom user model's manager
            except (ValueError, ValidationError):  # no key of a user looks like this
                continue
            found |= {str(row.pk): Candidate(str(row.pk), called(row), email=getattr(row, name)) for row in rows}
    return found.values()


@hookimpl
def customer_registers() -> list[CustomerRegister]:
    """One, where the settings say so."""
    if not conf.settings().link_users:
        return []
    return [CustomerRegister(KIND, cast("str", _("Users of the platform")), find, local=True)]
