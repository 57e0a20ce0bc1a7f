"""What was done for customers, what waits for their yes, and how they proved who they are: the rows.

Arguments are kept twice at most: exactly as they will be used (``PendingAction.arguments``, emptied once it is settled), and
redacted, for people (``shown``).
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business


class Execution(models.Model):
    """The ledger: one writing call of a tool. The row is committed before the call, its result after it.

    ``status``: running; done; failed (nothing happened); unknown (nobody knows). A row that is still running when its turn
    is tried again was left by a crash. ``key`` is what the tool saw; ``digest`` says the same tool with the same arguments,
    and ``messages`` are the customer's messages it was done for. ``result`` answers a repeated turn.
    """

    conversation = models.ForeignKey(
        "prosa_conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        related_name="executions",
    )
    business = models.ForeignKey(
        Business, verbose_name=_("business"), db_constraint=False, on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(_("key"), max_length=80, unique=True)
    digest = models.CharField(max_length=64, blank=True, db_default="")
    messages = ArrayField(models.BigIntegerField(), db_default=[])
    tool = models.CharField(_("tool"), max_length=80)
    risk = models.CharField(_("risk"), max_length=12)
    shown = models.JSONField(_("arguments"), db_default={})
    status = models.CharField(_("status"), max_length=8, db_default="running")
    result = models.TextField(_("result"), blank=True, db_default="")
    record = models.JSONField(_("details"), db_default={})
    started_at = models.DateTimeField(_("began"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["running", "done", "failed", "unknown"]), name="prosa_execution_status"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tool} #{self.pk}"


class PendingAction(models.Model):
    """A destructive call that waits for the customer's yes, with exactly what would be done.

    ``status``: proposed; confirmed; executed; failed (it could not be done); refused (by the customer, or replaced); expired.
    ``asked`` is the turn that asked last: a bare yes counts while that was the last thing we said. ``told_at``: when the
    customer heard the end of it.
    """

    conversation = models.ForeignKey(
        "prosa_conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="actions",
    )
    business = models.ForeignKey(
        Business, verbose_name=_("business"), db_constraint=False, on_delete=models.CASCADE, related_name="+"
    )
    contact_id = models.BigIntegerField()
    key = models.CharField(max_length=40, unique=True)
    tool = models.CharField(_("tool"), max_length=80)
    identity = models.CharField(max_length=12, db_default="anonymous")
    arguments = models.JSONField(db_default={})
    shown = models.JSONField(_("arguments"), db_default={})
    question = models.TextField(_("question"), blank=True, db_default="")
    status = models.CharField(_("status"), max_length=10, db_default="proposed")
    asked = models.BigIntegerField(db_default=0)
    after = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(_("proposed"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("pending action")
        verbose_name_plural = _("pending actions")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(status="proposed"), name="prosa_pendingaction_one"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["proposed", "confirmed", "executed", "failed", "refused", "expired"]),
                name="prosa_pendingaction_status",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation"], condition=Q(told_at__isnull=True), name="prosa_pendingaction_untold"),
            models.Index(fields=["expires_at"], condition=Q(status="proposed"), name="prosa_pendingaction_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.tool} #{self.pk}"


class IdentityProof(models.Model):
    """One attempt of a customer to prove who they are. It holds in its conversation, for the identities of that moment.

    ``status``: asked (a code was sent), proved, failed, expired. ``secret`` is the hash of a code, never the code.
    """

    conversation = models.ForeignKey(
        "prosa_conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="proofs",
    )
    business = models.ForeignKey(
        Business, verbose_name=_("business"), db_constraint=False, on_delete=models.CASCADE, related_name="+"
    )
    contact_id = models.BigIntegerField()
    identities = ArrayField(models.CharField(max_length=200), db_default=[])
    way = models.CharField(_("way"), max_length=60)
    secret = models.CharField(max_length=100, blank=True, db_default="")
    tries = models.SmallIntegerField(_("tries"), db_default=0)
    status = models.CharField(_("status"), max_length=10, db_default="asked")
    created_at = models.DateTimeField(_("began"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("proof of identity")
        verbose_name_plural = _("proofs of identity")
        indexes = [
            models.Index(
                fields=["conversation"], condition=Q(status__in=["asked", "proved"]), name="prosa_identityproof_open"
            ),
            models.Index(fields=["business", "contact_id", "created_at"], name="prosa_identityproof_day"),
        ]

    def __str__(self) -> str:
        return f"{self.way} #{self.pk}"
