"""Conversations, their messages and everything that happens to them.

The hot path (door, inbound, dispatch, turns, outbox) writes these tables in SQL, so columns it leaves out have a
``db_default``. Denormalised keys without a database constraint (``db_constraint=False``) save a lock on the parent
row for each message; Django still deletes along them.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.business.people import Membership, Team
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact
from prosa.conversations import lanes
from prosa.conversations.acts import deeds
from prosa.conversations.cases.case import Case

ELSEWHERE = (deeds.Execution, deeds.PendingAction, deeds.IdentityProof, Case, lanes.Dispatch, lanes.Worker, lanes.Pace)
"""Models of this app in a file of their own; Django finds them through this one."""


class State(models.TextChoices):
    """Who answers. The transitions are in ``states``."""

    BOT = "bot", _("Assistant")
    AWAITING_AGENT = "awaiting_agent", _("Waiting for a person")
    AGENT_ACTIVE = "agent_active", _("With a person")
    RESOLVED = "resolved", _("Resolved")


LABEL_COLOURS = [
    ("grey", _("grey")),
    ("green", _("green")),
    ("blue", _("blue")),
    ("purple", _("purple")),
    ("pink", _("pink")),
    ("red", _("red")),
    ("amber", _("amber")),
]


class WebhookEvent(models.Model):
    """A correctly signed webhook exactly as it came, kept whatever it held, so that it can be replayed.

    ``outcome``: ``ok``; ``unparsed`` (we do not know the shape), ``unrouted`` (no inbox of ours), ``strange`` (partly
    understood), ``failed`` (understood, but storing it failed; ``error`` says why).
    """

    inbox = models.ForeignKey(
        Inbox,
        verbose_name=_("inbox"),
        null=True,
        db_constraint=False,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    kind = models.CharField(_("kind"), max_length=40)
    received_at = models.DateTimeField(_("received"), db_default=Now())
    body = models.BinaryField(_("body"))
    content_type = models.CharField(_("content type"), max_length=120, blank=True, db_default="")
    outcome = models.CharField(_("outcome"), max_length=12, db_default="ok")
    error = models.TextField(_("error"), blank=True, db_default="")
    receipts = models.BooleanField(_("holds receipts"), db_default=False)
    replayed_at = models.DateTimeField(_("replayed"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        indexes = [
            BrinIndex(fields=["received_at"], name="prosa_event_received", pages_per_range=16),
            models.Index(fields=["-id"], condition=~Q(outcome="ok"), name="prosa_event_trouble"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class Conversation(models.Model):
    """One contact on one inbox, until it is resolved.

    ``epoch`` grows whenever ownership changes; an automatic message leaves only while the epoch it was written in
    still holds. This row is the lock that takeover, ``finish`` and sending share.

    ``context_from`` is the message by which the customer started afresh: what came up to it no model reads again.
    ``closing_id`` is the bubble after whose sending the conversation is resolved: see ``closing``.

    ``language`` is the customer's (``pt``, ``es``, ``en``) where it is surely not the business's: see ``tongue``.

    ``assignee`` has it, or is expected to take it while it waits; ``team`` whom it waits for. It is snoozed until
    ``snoozed_until``, or until the customer writes something after ``snoozed_from``.

    ``origin_id`` is the contact it was opened with, where that was merged into this one, ``writer_id`` whose identity wrote
    last, and so gets the replies; NULL: the contact's own (see ``merging``).
    """

    # Without indexes of their own: they begin others, and the planner of a fresh installation mistook them for better.
    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="conversations"
    )
    inbox = models.ForeignKey(
        Inbox, verbose_name=_("inbox"), on_delete=models.CASCADE, db_index=False, related_name="conversations"
    )
    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="conversations"
    )
    state = models.CharField(_("state"), max_length=16, choices=State, db_default=State.BOT)
    state_at = models.DateTimeField(_("in this state since"), db_default=Now())
    epoch = models.IntegerField(_("ownership epoch"), db_default=0)
    specialist = models.CharField(_("specialist"), max_length=40, blank=True, db_default="")
    assignee = models.ForeignKey(
        Membership,
        verbose_name=_("assigned to"),
        null=True,
        blank=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    team = models.ForeignKey(
        Team, verbose_name=_("team"), null=True, blank=True, db_index=False, on_delete=models.SET_NULL, related_name="+"
    )
    labels: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        "Label", verbose_name=_("labels"), blank=True, related_name="conversations"
    )
    language = models.CharField(_("language of the customer"), max_length=5, blank=True, db_default="")
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    snoozed_from = models.BigIntegerField(db_default=0)
    unread = models.IntegerField(_("unread"), db_default=0)
    last_inbound_at = models.DateTimeField(_("customer wrote last"), null=True, blank=True)
    last_inbound_id = models.BigIntegerField(db_default=0)
    wait_notice_at = models.DateTimeField(null=True, blank=True)
    pace_at = models.DateTimeField(null=True, blank=True)
    context_from = models.BigIntegerField(db_default=0)
    closing_id = models.BigIntegerField(db_default=0)
    origin_id = models.BigIntegerField(null=True, blank=True, editable=False)
    writer_id = models.BigIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("began"), db_default=Now())

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [
            models.UniqueConstraint(
                fields=["inbox", "contact"], condition=~Q(state="resolved"), name="prosa_conversation_open"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["bot", "awaiting_agent", "agent_active", "resolved"]),
                name="prosa_conversation_state",
            ),
        ]
        # What they are made of does not change when a message arrives, so the door's updates stay on the row's page.
        indexes = [
            models.Index(fields=["business", "-id"], name="prosa_conversation_recent"),
            models.Index(
                fields=["business", "state_at"],
                condition=Q(state__in=["awaiting_agent", "agent_active"]),
                name="prosa_conversation_people",
            ),
            models.Index(
                fields=["business", "-state_at"], condition=Q(state="resolved"), name="prosa_conversation_ended"
            ),
            models.Index(fields=["assignee"], condition=Q(assignee__isnull=False), name="prosa_conversation_assignee"),
            models.Index(
                fields=["snoozed_until"], condition=Q(snoozed_until__isnull=False), name="prosa_conversation_snoozed"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Label(models.Model):
    """A word people sort conversations by. ``colour`` is one of the desk's own (``LABEL_COLOURS``)."""

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="labels"
    )
    name = models.CharField(_("label"), max_length=40)
    colour = models.CharField(_("colour"), max_length=10, choices=LABEL_COLOURS, default="grey")

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["business", "name"], name="prosa_label_name")]

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """A bubble, in or out.

    ``author``: customer, bot, agent, owner_phone, system. ``pending`` marks an inbound message that still asks for an
    answer. Outbound ``status``: queued → sending → sent → delivered → read → played, or unconfirmed (we do not know
    whether it left), failed, withdrawn (a person took over first). Inbound: received. ``epoch`` is the conversation's
    when it was written. ``sender`` is the person behind ``agent``; ``key`` is made by the page they write in, so that pressing
    twice sends once.

    Its conversation is kept there without a foreign key, whose check per row was a tenth of the door's work: who inserts
    a message holds a lock on the conversation, and a trigger refuses to delete one that has messages.
    """

    conversation = models.ForeignKey(
        Conversation,
        verbose_name=_("conversation"),
        db_constraint=False,
        db_index=False,
        on_delete=models.CASCADE,
        related_name="messages",
    )
    business = models.ForeignKey(
        Business, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    inbox = models.ForeignKey(Inbox, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+")
    event_id = models.BigIntegerField(null=True)
    direction = models.CharField(max_length=3)
    author = models.CharField(_("author"), max_length=12)
    kind = models.CharField(_("kind"), max_length=16, db_default="text")
    text = models.TextField(_("text"), blank=True, db_default="")
    payload = models.JSONField(null=True, blank=True)
    provider_id = models.CharField(_("provider's id"), max_length=250, null=True, blank=True)
    reply_to = models.CharField(max_length=250, blank=True, db_default="")
    status = models.CharField(_("status"), max_length=12, db_default="received")
    status_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True, db_default="")
    error = models.TextField(_("error"), blank=True, db_default="")
    pricing = models.JSONField(null=True, blank=True)
    pending = models.BooleanField(db_default=False)
    epoch = models.IntegerField(db_default=0)
    sender = models.ForeignKey(
        Membership,
        verbose_name=_("sender"),
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    turn = models.ForeignKey(
        "Turn",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="messages",
    )
    key = models.CharField(max_length=64, null=True, blank=True)
    attempts = models.SmallIntegerField(db_default=0)
    resends = models.SmallIntegerField(db_default=0)
    sent_at = models.DateTimeField(_("sent"), db_default=Now())
    created_at = models.DateTimeField(_("stored"), db_default=Now())

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["inbox", "provider_id"], name="prosa_message_provider_id"),
            models.UniqueConstraint(
                fields=["conversation", "key"], condition=Q(key__isnull=False), name="prosa_message_key"
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "id"], name="prosa_message_conversation"),
            models.Index(fields=["conversation", "id"], condition=Q(pending=True), name="prosa_message_pending"),
            models.Index(
                fields=["conversation", "id"],
                condition=Q(status__in=["queued", "sending", "unconfirmed"]),
                name="prosa_message_outgoing",
            ),
            models.Index(fields=["turn"], condition=Q(turn__isnull=False), name="prosa_message_turn"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.kind}"


class Attachment(models.Model):
    """A file of a message. ``status``: waiting, stored, refused (too large, wrong type, wrong checksum), failed or expired.

    ``hearing`` is about stored audio: waiting (to be written down), heard (``transcript`` holds the words) or unheard
    (``error`` says why); empty for everything else. What we speak ourselves carries its words as ``transcript`` too.
    """

    message = models.ForeignKey(
        Message, verbose_name=_("message"), on_delete=models.CASCADE, related_name="attachments"
    )
    kind = models.CharField(_("kind"), max_length=16)
    ref = models.TextField(blank=True, db_default="")
    url = models.TextField(blank=True, db_default="")
    mime_type = models.CharField(_("type"), max_length=120, blank=True, db_default="")
    filename = models.CharField(_("file name"), max_length=255, blank=True, db_default="")
    sha256 = models.CharField(max_length=64, blank=True, db_default="")
    size = models.BigIntegerField(_("size"), db_default=0)
    voice = models.BooleanField(_("voice note"), db_default=False)
    status = models.CharField(_("status"), max_length=12, db_default="waiting")
    error = models.TextField(_("error"), blank=True, db_default="")
    file = models.FileField(_("file"), max_length=300, blank=True, db_default="")
    hearing = models.CharField(_("transcription"), max_length=12, blank=True, db_default="")
    transcript = models.TextField(_("transcript"), blank=True, db_default="")

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        indexes = [
            models.Index(
                fields=["message"],
                condition=Q(status="waiting") | Q(hearing="waiting"),
                name="prosa_attachment_unfinished",
            )
        ]

    def __str__(self) -> str:
        return self.filename or f"{self.kind} #{self.pk}"


class Turn(models.Model):
    """One attempt of an agent to answer, and why it said what it said.

    ``outcome``: answered, withheld (a person took over; ``draft`` is kept as a suggestion), superseded (a newer
    message came first), silent (nothing to say), failed.
    """

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="turns"
    )
    business = models.ForeignKey(Business, db_constraint=False, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(_("outcome"), max_length=12)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), db_default=Now())
    model = models.CharField(_("model"), max_length=200, blank=True, db_default="")
    input_tokens = models.IntegerField(_("tokens in"), db_default=0)
    output_tokens = models.IntegerField(_("tokens out"), db_default=0)
    requests = models.SmallIntegerField(_("model requests"), db_default=0)
    cost = models.DecimalField(
        _("cost (US$)"),
        max_digits=14,
        decimal_places=8,
        null=True,
        blank=True,
        help_text=_("Empty: the model's price is not known."),
    )
    guideline_version = models.IntegerField(_("guideline version"), db_default=0)
    stages = models.JSONField(_("latency per stage (ms)"), db_default={})
    trace = models.JSONField(_("trace"), db_default={})
    draft = models.TextField(_("draft"), blank=True, db_default="")
    error = models.TextField(_("error"), blank=True, db_default="")

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")

    def __str__(self) -> str:
        return f"#{self.pk} {self.outcome}"


class Event(models.Model):
    """A line on the conversation's timeline. ``actor``: customer, bot, system, owner_phone or ``user:<id>``."""

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="events"
    )
    business = models.ForeignKey(
        Business, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    kind = models.CharField(_("what"), max_length=40)
    actor = models.CharField(_("who"), max_length=60)
    data = models.JSONField(_("details"), db_default={})
    created_at = models.DateTimeField(_("when"), db_default=Now())

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["id"]
        indexes = [
            # How long people took: the last calls of a business, among all that ever happened.
            models.Index(fields=["business", "-id"], condition=Q(kind="handed_off"), name="prosa_event_handed_off"),
        ]

    def __str__(self) -> str:
        return self.kind


class Summary(models.Model):
    """What was said, in short: see ``summaries``. One row for each purpose, written over as the conversation goes on.

    ``purpose``: ``history`` stands in prompts for every line up to message ``through_id``; ``handoff`` tells the person
    who takes over. ``model`` is empty where no model wrote it: then it is made of the lines themselves.
    """

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, db_index=False, related_name="summaries"
    )
    business = models.ForeignKey(
        Business, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    purpose = models.CharField(_("purpose"), max_length=10)
    text = models.TextField(_("summary"))
    through_id = models.BigIntegerField(db_default=0)
    lines = models.IntegerField(_("lines"), db_default=0)
    model = models.CharField(_("model"), max_length=200, blank=True, db_default="")
    written_at = models.DateTimeField(_("written"), db_default=Now())

    class Meta:
        verbose_name = _("summary")
        verbose_name_plural = _("summaries")
        constraints = [models.UniqueConstraint(fields=["conversation", "purpose"], name="prosa_summary_once")]

    def __str__(self) -> str:
        return f"{self.purpose} #{self.conversation_id}"
