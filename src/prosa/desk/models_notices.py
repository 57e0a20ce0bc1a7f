"""Where the desk tells people that a customer waits, and what it told them."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.business.people import Membership, Team
from prosa.encryption import EncryptedJSONField


class Way(models.TextChoices):
    """How an outlet is reached."""

    EMAIL = "email", _("E-mail")
    SLACK = "slack", "Slack"
    WEBHOOK = "webhook", _("Signed webhook")


class Outlet(models.Model):
    """Somebody, or something, that is told. An e-mail outlet is a member's own; the others are the business's or a team's.

    ``address`` holds what an outlet is reached by, sealed: ``url``, and for signed webhooks ``secret``. ``sent_at`` is when the
    last digest left, ``succeeded_at`` the last digest or test, ``next_at`` when it may be tried again after ``attempts``
    failures; ``error`` is a code of ``webhooks.Trouble`` with its detail. Notices are held back from ``quiet_from`` to
    ``quiet_to``, in the business's time; past midnight when the second is the smaller one.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="outlets"
    )
    member = models.ForeignKey(
        Membership, verbose_name=_("member"), null=True, blank=True, on_delete=models.CASCADE, related_name="outlets"
    )
    team = models.ForeignKey(
        Team, verbose_name=_("team"), null=True, blank=True, on_delete=models.CASCADE, related_name="outlets"
    )
    way = models.CharField(_("way"), max_length=10, choices=Way)
    name = models.CharField(_("name"), max_length=60, blank=True, default="")
    address: Any = EncryptedJSONField(_("address"), blank=True, default=dict)
    active = models.BooleanField(_("active"), default=True)
    handed_off = models.BooleanField(_("A customer waits for a person"), default=True)
    assigned = models.BooleanField(_("A conversation is given to me or my team"), default=True)
    asked = models.BooleanField(_("The assistant asks the team a question"), default=True, db_default=True)
    escalated = models.BooleanField(_("Nobody took a conversation in time"), default=True)
    unanswered = models.BooleanField(_("A customer's message has no answer"), default=True)
    unanswered_minutes = models.PositiveSmallIntegerField(
        _("minutes without an answer"), default=15, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_to = models.TimeField(_("quiet until"), null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_at = models.DateTimeField(null=True, blank=True, editable=False)
    succeeded_at = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    error = models.TextField(blank=True, default="", editable=False)
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("notification outlet")
        verbose_name_plural = _("notification outlets")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["member", "way"], condition=Q(member__isnull=False), name="prosa_outlet_member"
            )
        ]
        indexes = [models.Index(fields=["business"], name="prosa_outlet_business")]

    def __str__(self) -> str:
        return self.name or f"{self.get_way_display()} #{self.pk}"


class Notice(models.Model):
    """One thing an outlet is to be told of. ``kind`` and ``source`` (an event of the timeline, or for ``unanswered`` the
    message) make it one of its kind, however often its cause is looked at.

    ``status``: waiting, sent, moot (somebody took it before it was told) or failed (``Outlet.error`` says why).
    """

    outlet = models.ForeignKey(Outlet, on_delete=models.CASCADE, db_index=False, related_name="notices")
    conversation = models.ForeignKey("prosa_conversations.Conversation", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12)
    source = models.BigIntegerField()
    happened_at = models.DateTimeField()
    status = models.CharField(max_length=8, db_default="waiting")
    created_at = models.DateTimeField(db_default=Now())
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [models.UniqueConstraint(fields=["outlet", "kind", "source"], name="prosa_notice_once")]
        indexes = [
            models.Index(fields=["outlet", "created_at"], condition=Q(status="waiting"), name="prosa_notice_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.conversation_id}"


class Discretion(models.Model):
    """What a business lets notices say. ``quotes``: also the customer's last words, with personal data hidden."""

    business = models.OneToOneField(Business, primary_key=True, on_delete=models.CASCADE, related_name="+")
    quotes = models.BooleanField(_("Also say the customer's last words"), default=False)

    class Meta:
        verbose_name = _("discretion of notices")
        verbose_name_plural = _("discretion of notices")

    def __str__(self) -> str:
        return f"{self.business_id}"
