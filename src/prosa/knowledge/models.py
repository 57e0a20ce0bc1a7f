"""What the business has said in advance."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business


class ApprovedAnswer(models.Model):
    """A question and the answer that may be given word by word, also when no model can be reached."""

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="approved_answers"
    )
    question = models.CharField(
        _("question"), max_length=500, help_text=_("As customers ask it; add other wordings after a semicolon.")
    )
    answer = models.TextField(_("answer"))
    active = models.BooleanField(_("active"), default=True)
    search = SearchVectorField(null=True, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("approved answer")
        verbose_name_plural = _("approved answers")
        indexes = [GinIndex(fields=["search"], name="prosa_answer_search")]

    def __str__(self) -> str:
        return self.question
