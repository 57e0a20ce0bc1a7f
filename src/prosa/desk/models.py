"""What people at the desk keep: notes, drafts, canned replies, what they have read, and what they did."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.conversations.models import Conversation


class Note(models.Model):
    """What colleagues tell each other in a conversation. A table of its own, so that no note can ever leave as a message."""

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="notes"
    )
    business = models.ForeignKey(Business, db_index=False, on_delete=models.CASCADE, related_name="+")
    member = models.ForeignKey(
        Membership, verbose_name=_("written by"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.TextField(_("note"))
    created_at = models.DateTimeField(_("written"), db_default=Now())

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class CannedReply(models.Model):
    """A text used often, called by ``/shortcut``. ``{name}``, ``{agent}`` and ``{business}`` are filled in."""

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="canned_replies"
    )
    shortcut = models.SlugField(_("shortcut"), max_length=30, allow_unicode=True)
    text = models.TextField(_("text"), max_length=4000)

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        ordering = ["shortcut"]
        constraints = [models.UniqueConstraint(fields=["business", "shortcut"], name="prosa_canned_shortcut")]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


class Place(models.Model):
    """A member in a conversation: up to which message they have read it, and what they have begun to write.

    ``typing_until`` lies in the future while they type; colleagues are warned.
    """

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_index=False, related_name="places")
    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    read_id = models.BigIntegerField(db_default=0)
    draft = models.TextField(blank=True, db_default="")
    draft_note = models.BooleanField(db_default=False)
    typing_until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("place in a conversation")
        verbose_name_plural = _("places in conversations")
        constraints = [models.UniqueConstraint(fields=["conversation", "member"], name="prosa_place_once")]

    def __str__(self) -> str:
        return f"{self.member_id} in {self.conversation_id}"


class Scheduled(models.Model):
    """A message a person wrote to be sent later. ``status``: waiting, sent, cancelled, failed (``error`` says why)."""

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="scheduled"
    )
    business = models.ForeignKey(Business, db_index=False, on_delete=models.CASCADE, related_name="+")
    member = models.ForeignKey(Membership, verbose_name=_("written by"), on_delete=models.CASCADE, related_name="+")
    text = models.TextField(_("text"))
    send_at = models.DateTimeField(_("send at"))
    status = models.CharField(_("status"), max_length=10, db_default="waiting")
    error = models.TextField(_("error"), blank=True, db_default="")
    created_at = models.DateTimeField(_("written"), db_default=Now())

    class Meta:
        verbose_name = _("scheduled message")
        verbose_name_plural = _("scheduled messages")
        ordering = ["send_at"]
        indexes = [models.Index(fields=["send_at"], condition=models.Q(status="waiting"), name="prosa_scheduled_due")]

    def __str__(self) -> str:
        return f"#{self.pk}"


class AuditEntry(models.Model):
    """Who did what at the desk or to its people, and from where. Written in the transaction of the deed; never changed.

    What happens to a conversation is on its own timeline (``conversations.Event``); here is what is not: sign-ins, members,
    roles, teams, exports, erasures.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), null=True, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("who"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    kind = models.CharField(_("what"), max_length=40)
    subject = models.CharField(_("to whom or what"), max_length=200, blank=True)
    data = models.JSONField(_("details"), default=dict)
    address = models.GenericIPAddressField(_("from"), null=True)
    created_at = models.DateTimeField(_("when"), db_default=Now())

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-id"]
        indexes = [models.Index(fields=["business", "-id"], name="prosa_audit_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip()
