"""What people at the desk keep: notes, drafts, canned replies, what they have read, and what they did."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.business.people import Membership
from prosa.conversations.models import Conversation, Message
from prosa.desk import models_notices

ELSEWHERE = (models_notices.Outlet, models_notices.Notice, models_notices.Discretion)
"""Models of this app in a file of their own; Django finds them through this one."""


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


class Look(models.Model):
    """An open desk (``tab``, as its page names itself) with a conversation before it. See ``presence``."""

    tab = models.CharField(max_length=36, primary_key=True)
    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("look")
        verbose_name_plural = _("looks")

    def __str__(self) -> str:
        return f"{self.member_id} at {self.conversation_id}"


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


class Line(models.Model):
    """A message as the search knows it: ``words`` without accents, its business one of them. ``heard``: files' words are in.

    Filled by ``search``, never by the walk of a message. Without a foreign key's check in the database; Django deletes along.
    """

    message = models.OneToOneField(
        Message, primary_key=True, db_constraint=False, on_delete=models.CASCADE, related_name="+"
    )
    business = models.ForeignKey(
        Business, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    conversation = models.ForeignKey(
        Conversation, db_constraint=False, db_index=False, on_delete=models.DO_NOTHING, related_name="+"
    )
    heard = models.BooleanField(default=False)
    words = SearchVectorField()

    class Meta:
        verbose_name = _("searchable message")
        verbose_name_plural = _("searchable messages")
        indexes = [GinIndex(fields=["words"], name="prosa_line_words")]

    def __str__(self) -> str:
        return f"#{self.message_id}"


class NoteLine(models.Model):
    """A note as the search knows it, like :class:`Line`."""

    note = models.OneToOneField(Note, primary_key=True, on_delete=models.CASCADE, related_name="+")
    business = models.ForeignKey(Business, db_index=False, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey(Conversation, db_index=False, on_delete=models.CASCADE, related_name="+")
    words = SearchVectorField()

    class Meta:
        verbose_name = _("searchable note")
        verbose_name_plural = _("searchable notes")
        indexes = [GinIndex(fields=["words"], name="prosa_noteline_words")]

    def __str__(self) -> str:
        return f"#{self.note_id}"


class AuditEntry(models.Model):
    """Who did what at the desk or to its people, and from where. Written in the transaction of the deed; never changed.

    What happens to a conversation is on its own timeline (``conversations.Event``); here is what is not: sign-ins and their
    failures, members, roles, teams, settings of the desk, what was changed in the admin, what was erased.
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


class Person(models.Model):
    """What a user has chosen for themselves, in whichever business they work. Without a row: as the browser says."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="prosa_person"
    )
    language = models.CharField(_("language"), max_length=10, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")

    def __str__(self) -> str:
        return str(self.user)


class SignedIn(models.Model):
    """A browser in which somebody is signed in: the row of a session, so that its owner can find and end it.

    A row may outlive its session; ``sessions.of`` leaves such rows out. ``seen_at``: when it last used the desk, to the hour.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    browser = models.CharField(_("browser"), max_length=200, blank=True)
    address = models.GenericIPAddressField(_("from"), null=True)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    seen_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        verbose_name = _("signed-in browser")
        verbose_name_plural = _("signed-in browsers")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Knock(models.Model):
    """Something strangers may ask for, but not often. ``key`` is a hash of who asked or for whom; forgotten after a day."""

    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("knock at the door")
        verbose_name_plural = _("knocks at the door")
        indexes = [models.Index(fields=["key", "created_at"], name="prosa_knock_recent")]

    def __str__(self) -> str:
        return f"#{self.pk}"
