"""The row of a case."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.business.people import Membership, Team

LIVE = ("open", "answered")
"""States in which the customer still waits for the end of it."""


class Case(models.Model):
    """A question of the assistant to people of the business, while it goes on serving the customer itself.

    ``state``: open; answered (the customer is about to hear it; an empty ``answer`` says that nobody can tell); relayed;
    closed (resolved, given back, or told that nobody knows); handed_off (people have the conversation: an answer that came is
    offered to them). At most one of a conversation is live. ``turn_id`` asked, ``relay_id`` told the answer. ``remind_at`` is
    when people are reminded next; empty: they were often enough, and the conversation goes to them.

    Who has the conversation decides over its case too: every move ends it, in the statement that makes the move.
    """

    conversation = models.ForeignKey(
        "prosa_conversations.Conversation",
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="cases",
    )
    business = models.ForeignKey(
        Business,
        verbose_name=_("business"),
        db_constraint=False,
        db_index=False,
        on_delete=models.CASCADE,
        related_name="+",
    )
    question = models.TextField(_("question"))
    team = models.ForeignKey(
        Team, verbose_name=_("team"), null=True, db_index=False, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(_("state"), max_length=10, db_default="open")
    reminders = models.SmallIntegerField(_("reminders"), db_default=0)
    remind_at = models.DateTimeField(null=True)
    answer = models.TextField(_("answer"), blank=True, db_default="")
    answered_by = models.ForeignKey(
        Membership,
        verbose_name=_("answered by"),
        null=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    turn_id = models.BigIntegerField(db_default=0)
    relay_id = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(_("asked"), db_default=Now())
    answered_at = models.DateTimeField(_("answered"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("question to people")
        verbose_name_plural = _("questions to people")
        constraints = [
            models.UniqueConstraint(fields=["conversation"], condition=Q(state__in=LIVE), name="prosa_case_one"),
            models.CheckConstraint(
                condition=Q(state__in=[*LIVE, "relayed", "closed", "handed_off"]), name="prosa_case_state"
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "-id"], name="prosa_case_conversation"),
            models.Index(fields=["business"], condition=Q(state="open"), name="prosa_case_open"),
            models.Index(fields=["remind_at"], condition=Q(state="open"), name="prosa_case_due"),
            models.Index(fields=["ended_at"], condition=Q(state="relayed"), name="prosa_case_relayed"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.state}"
