"""Who works for a business, what they may do there, and in which teams.

A person signs in as a Django user; what that user may do in one business is said by a :class:`Membership` of it, and by
nothing else. A superuser of the installation needs none.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

BUSINESS = "prosa_business.Business"


class Role(models.TextChoices):
    """What a member may do; each role may do what the next one may."""

    OWNER = "owner", _("Owner")
    """Everything, also owners and the money."""
    ADMIN = "admin", _("Administrator")
    """People, teams, guidelines, inboxes."""
    AGENT = "agent", _("Agent")
    """Talks with customers."""
    VIEWER = "viewer", _("Viewer")
    """Reads."""


RANK = {Role.VIEWER: 0, Role.AGENT: 1, Role.ADMIN: 2, Role.OWNER: 3}


class Membership(models.Model):
    """A user in a business. Who left keeps the row: what they wrote stays theirs.

    ``available`` is what the person says; who is really there also has a desk open (``seen_at``). ``capacity`` is how many
    conversations the rota gives them at a time; what they take themselves is not limited.
    """

    business = models.ForeignKey(
        BUSINESS, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="members"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="prosa_memberships"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
    available = models.BooleanField(_("available"), default=True, db_default=True)
    capacity = models.PositiveSmallIntegerField(
        _("conversations at a time"),
        default=6,
        db_default=6,
        validators=[MaxValueValidator(1000)],
        help_text=_("How many the rota gives to this person at once. 0: none; they take what they want."),
    )
    seen_at = models.DateTimeField(_("last seen in the desk"), null=True, blank=True, editable=False)
    offered_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    left_at = models.DateTimeField(_("left"), null=True, blank=True)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [models.UniqueConstraint(fields=["business", "user"], name="prosa_membership_once")]

    def __str__(self) -> str:
        return str(self.user)

    def may(self, role: Role) -> bool:
        """Is this member allowed what ``role`` is allowed?"""
        return self.left_at is None and RANK[Role(self.role)] >= RANK[role]


class Team(models.Model):
    """People who share conversations, such as sales or support. The assistant knows its ``name`` and ``about``."""

    business = models.ForeignKey(
        BUSINESS, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="teams"
    )
    name = models.CharField(pgettext_lazy("of a team", "name"), max_length=60)
    about = models.CharField(
        _("what it is for"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("Told to the assistant, which chooses by it: prices and orders; complaints; bookings."),
    )
    members = models.ManyToManyField(Membership, verbose_name=_("members"), blank=True, related_name="teams")
    fallback = models.BooleanField(_("receives what no other team is named for"), default=False, db_default=False)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["business", "name"], name="prosa_team_name")]

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """A place in a business kept for whoever reads mail at ``email``. Only a hash of the link's token is stored."""

    business = models.ForeignKey(
        BUSINESS, verbose_name=_("business"), on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField(_("e-mail"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("invited by"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(_("sent"), db_default=Now())
    expires_at = models.DateTimeField(_("valid until"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email


class Holiday(models.Model):
    """A day on which the business keeps other hours than its week says. Without hours it is closed."""

    business = models.ForeignKey(
        BUSINESS, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="holidays"
    )
    day = models.DateField(_("day"))
    name = models.CharField(pgettext_lazy("of a holiday", "name"), max_length=60, blank=True, default="")
    hours = models.CharField(
        _("open"), max_length=60, blank=True, default="", help_text=_("For example 09:00-13:00. Empty: closed.")
    )

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["business", "day"], name="prosa_holiday_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}".strip()
