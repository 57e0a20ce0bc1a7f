"""What models did for a conversation beside its answers: heard a voice note, spoke one, summed up, helped a person."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.conversations.models import Conversation


class Expense(models.Model):
    """What one model did for one purpose. Written by ``prosa_conversations_spend`` (see ``spent``); answers are turns.

    ``cost`` in US dollars is what is known; ``unpriced_requests`` are not in it.
    """

    conversation = models.ForeignKey(Conversation, db_index=False, on_delete=models.CASCADE, related_name="expenses")
    business = models.ForeignKey(
        Business, db_constraint=False, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    purpose = models.CharField(_("purpose"), max_length=20)
    model = models.CharField(_("model"), max_length=200)
    requests = models.IntegerField(_("model requests"), db_default=0)
    input_tokens = models.BigIntegerField(_("tokens in"), db_default=0)
    output_tokens = models.BigIntegerField(_("tokens out"), db_default=0)
    cost = models.DecimalField(_("cost (US$)"), max_digits=16, decimal_places=8, null=True)
    unpriced_requests = models.IntegerField(db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "purpose", "model"], name="prosa_expense_once"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.model}"
