"""The rows that work is shared out by: what waits in which lane, who works, and how fast an inbox may send.

Who may write them, and when, is in ``dispatch.sql`` and ``outbox.sql``.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.channels.models import Inbox


class Lane(models.IntegerChoices):
    """Work of a conversation that must not hold other work back."""

    MEDIA = 0, _("media")
    TURNS = 1, _("turns")
    DELIVERIES = 2, _("deliveries")


class Dispatch(models.Model):
    """The queue: one row per conversation and lane that ever had work.

    ``run_at`` says there is work; claiming clears it, so that whatever sets it again is newer work. ``owner`` and
    ``claim`` fence what a claimer may write. See ``dispatch``.
    """

    conversation = models.ForeignKey(
        "prosa_conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="+",
    )
    lane = models.SmallIntegerField(_("lane"), choices=Lane)
    run_at = models.DateTimeField(_("runs at"), null=True, blank=True, help_text=_("Empty: nothing to do."))
    burst_until = models.DateTimeField(null=True, blank=True)
    owner = models.IntegerField(_("worker"), null=True, blank=True)
    claim = models.IntegerField(db_default=0)
    superseded = models.SmallIntegerField(db_default=0)
    attempts = models.SmallIntegerField(_("attempts"), db_default=0)
    last_error = models.TextField(_("last error"), blank=True, db_default="")
    dead_at = models.DateTimeField(_("dead since"), null=True, blank=True)

    class Meta:
        verbose_name = _("dispatch")
        verbose_name_plural = _("dispatch")
        constraints = [models.UniqueConstraint(fields=["conversation", "lane"], name="prosa_dispatch_lane")]
        indexes = [
            models.Index(
                fields=["lane", "run_at"],
                condition=Q(owner__isnull=True, run_at__isnull=False),
                name="prosa_dispatch_ready",
            ),
            models.Index(fields=["owner"], condition=Q(owner__isnull=False), name="prosa_dispatch_owned"),
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="prosa_dispatch_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.get_lane_display()} of {self.conversation_id}"


class Worker(models.Model):
    """A worker process that has not been declared dead. It also holds the advisory lock ``(0x50524F53, owner)``."""

    owner = models.IntegerField(primary_key=True)
    host = models.CharField(_("host"), max_length=200)
    pid = models.IntegerField(_("process"))
    started_at = models.DateTimeField(_("started"), db_default=Now())
    beat_at = models.DateTimeField(_("last sign of life"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Pace(models.Model):
    """How far an inbox's sends are booked ahead, shared by all workers (the theoretical arrival time of GCRA)."""

    inbox = models.OneToOneField(Inbox, primary_key=True, on_delete=models.CASCADE, related_name="+")
    booked_until = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("pace")
        verbose_name_plural = _("paces")

    def __str__(self) -> str:
        return f"{self.inbox_id}"
