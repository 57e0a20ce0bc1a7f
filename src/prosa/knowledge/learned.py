"""What customers asked and nobody had written down, and what people answered: waiting for a person's word."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business, by_user
from prosa.knowledge.models import ApprovedAnswer


class Gap(models.Model):
    """Questions of one kind that found no answer: those whose ``stems`` are mostly the same.

    ``near`` is what came nearest the last time: ``title``, ``section``, ``text``, ``score``; empty when nothing did. Personal
    data is redacted. ``conversation_id`` is where it was asked last.
    """

    class Status(models.TextChoices):
        """Whether somebody still has to look."""

        OPEN = "open", _("open")
        ANSWERED = "answered", _("answered")
        DISMISSED = "dismissed", _("dismissed")

    business = models.ForeignKey(Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="gaps")
    question = models.CharField(_("question"), max_length=500)
    stems = ArrayField(models.CharField(max_length=40), editable=False)
    near = models.JSONField(_("nearest"), default=dict, blank=True)
    count = models.PositiveIntegerField(_("times asked"), default=0)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    conversation_id = models.BigIntegerField(null=True, editable=False)
    first_at = models.DateTimeField(_("asked first"))
    last_at = models.DateTimeField(_("asked last"))
    answer = models.ForeignKey(
        ApprovedAnswer, verbose_name=_("approved answer"), null=True, blank=True, on_delete=models.SET_NULL, related_name="gaps"
    )  # fmt: skip
    decided_by = by_user(_("decided by"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("unanswered question")
        verbose_name_plural = _("unanswered questions")
        indexes = [
            models.Index(fields=["business", "status", "-last_at"], name="prosa_gap_open"),
            GinIndex(fields=["stems"], name="prosa_gap_stems"),
        ]

    def __str__(self) -> str:
        return self.question


class Asking(models.Model):
    """One time a question of a gap was asked; ``turn_id`` keeps it from being counted twice."""

    business = models.ForeignKey(Business, on_delete=models.CASCADE, related_name="+", db_index=False)
    gap = models.ForeignKey(Gap, on_delete=models.CASCADE, related_name="askings")
    turn_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    text = models.CharField(max_length=500)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["business", "turn_id"], name="prosa_asking_once")]

    def __str__(self) -> str:
        return self.text


class Suggestion(models.Model):
    """An answer a person gave to a question the assistant had none for, as an approved answer to be.

    ``kind`` compares it with what is approved (``of``): new, a duplicate, or it replaces. ``before`` keeps what it replaced.
    ``message_id`` is the person's first message, ``author`` as messages have it. Personal data is redacted.
    """

    class Kind(models.TextChoices):
        """Beside what is approved."""

        NEW = "new", _("new")
        DUPLICATE = "duplicate", _("already approved")
        REPLACES = "replaces", _("replaces an answer")

    class Status(models.TextChoices):
        """Whether somebody still has to look. Duplicates never wait."""

        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="suggestions"
    )
    question = models.CharField(_("question"), max_length=500)
    answer = models.TextField(_("answer"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, editable=False)
    of = models.ForeignKey(
        ApprovedAnswer, verbose_name=_("approved answer"), null=True, blank=True, editable=False, on_delete=models.SET_NULL,
        related_name="suggestions",
    )  # fmt: skip
    before = models.TextField(_("answer before"), blank=True, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING, editable=False)
    author = models.CharField(_("author"), max_length=12, editable=False)
    conversation_id = models.BigIntegerField(editable=False)
    message_id = models.BigIntegerField(editable=False)
    answered_at = models.DateTimeField(_("answered"), editable=False)
    decided_by = by_user(_("decided by"), blank=False, editable=False)
    decided_at = models.DateTimeField(_("decided"), null=True, editable=False)

    class Meta:
        verbose_name = _("suggested answer")
        verbose_name_plural = _("suggested answers")
        constraints = [models.UniqueConstraint(fields=["business", "message_id"], name="prosa_suggestion_once")]
        indexes = [models.Index(fields=["business", "status", "-answered_at"], name="prosa_suggestion_waiting")]

    def __str__(self) -> str:
        return self.question


class Mark(models.Model):
    """How far a chore has read a table: everything up to ``position`` is behind it."""

    name = models.CharField(max_length=40, primary_key=True)
    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.position}"
