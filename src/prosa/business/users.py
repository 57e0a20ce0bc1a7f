"""The users of the project Prosa runs in: what they are called, and which of them may sign in.

Of a host project's user model nothing is sure but what Django asks of every one: a name to sign in with. Full names, and a
switch to turn somebody off, are used where there are any.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q

from prosa.business.people import Membership


def called(user: Any) -> str:
    """What a user is called: their full name where their model has one, else the name they sign in with."""
    full = getattr(user, "get_full_name", None)
    return (full() if full else "") or str(user.get_username())


def first_name(user: Any) -> str:
    """What customers read where a message says who wrote it: the first name where the model has one, else all of it."""
    return str(getattr(user, "first_name", "") or "") or called(user)


def name_of(member: Membership) -> str:
    """What colleagues call a member."""
    return called(member.user)


def has_field(name: str) -> bool:
    """Does the user model keep this in the database?"""
    try:
        get_user_model()._meta.get_field(name)  # noqa: SLF001  Django documents it
    except FieldDoesNotExist:
        return False
    return True


def active(prefix: str = "") -> Q:
    """Users that are not turned off, for a query of them; ``prefix`` (``user__``) for a query of what belongs to them."""
    return Q(**{f"{prefix}is_active": True}) if has_field("is_active") else Q()
