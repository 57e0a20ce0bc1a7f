"""What models cost, what was spent, and how much may be. All money is in US dollars, as providers bill it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa import conf
from prosa.business.models import Business, by_user

FROM_CATALOGUE, BY_PERSON = "genai-prices", "person"


def _price(label: Any, **more: Any) -> models.DecimalField[Any, Any]:
    return models.DecimalField(
        label, max_digits=14, decimal_places=6, validators=[MinValueValidator(Decimal(0))], **more
    )


def _limit(label: Any) -> models.DecimalField[Any, Any]:
    return models.DecimalField(
        label, max_digits=12, decimal_places=4, null=True, blank=True, validators=[MinValueValidator(Decimal(0))]
    )


class ModelPrice(models.Model):
    """The price of a model from a day on. What a person entered goes before what the catalogue says."""

    pattern = models.CharField(
        _("model"),
        max_length=200,
        help_text=_(
            "provider:model, as the business names it; * stands for anything, for example openai*:gpt-4.1-mini*."
        ),
    )
    input = _price(_("input (US$ per million tokens)"))
    output = _price(_("output (US$ per million tokens)"), default=Decimal(0))
    cached = _price(
        _("cached input (US$ per million tokens)"), null=True, blank=True, help_text=_("Empty: the same as input.")
    )
    valid_from = models.DateField(_("valid from"))
    source = models.CharField(
        _("source"),
        max_length=20,
        default=BY_PERSON,
        editable=False,
        choices=[(FROM_CATALOGUE, _("catalogue")), (BY_PERSON, _("entered by a person"))],
    )
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    updated_by = by_user(_("updated by"), editable=False)

    class Meta:
        verbose_name = _("model price")
        verbose_name_plural = _("model prices")
        constraints = [
            models.UniqueConstraint(fields=["pattern", "valid_from"], name="prosa_price_once_a_day"),
        ]

    def __str__(self) -> str:
        return self.pattern


class UsageDay(models.Model):
    """What one model did for one business on one day of its time zone. Written by ``prosa_costs_book`` (see ``ledger``).

    ``cost`` is what is known; ``unpriced_requests`` were made to a model without a price and are not in it. ``slot``
    spreads one day over several rows, so that answers of different conversations do not wait for each other's commit.
    """

    business = models.ForeignKey(Business, db_index=False, on_delete=models.CASCADE, related_name="+")
    day = models.DateField(_("day"))
    model = models.CharField(_("model"), max_length=200)
    purpose = models.CharField(_("purpose"), max_length=20)
    slot = models.SmallIntegerField(db_default=0)
    requests = models.IntegerField(_("model requests"), db_default=0)
    input_tokens = models.BigIntegerField(_("tokens in"), db_default=0)
    output_tokens = models.BigIntegerField(_("tokens out"), db_default=0)
    cached_tokens = models.BigIntegerField(db_default=0)
    cost = models.DecimalField(_("cost (US$)"), max_digits=16, decimal_places=8, null=True)
    unpriced_requests = models.IntegerField(db_default=0)

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage per day")
        constraints = [
            models.UniqueConstraint(fields=["business", "day", "model", "purpose", "slot"], name="prosa_usage_once"),
        ]
        # For the quotas, which count a model over all businesses.
        indexes = [models.Index(fields=["day", "model"], name="prosa_usage_model")]

    def __str__(self) -> str:
        return f"{self.day} {self.model} {self.purpose}"


class ModelQuota(models.Model):
    """How many requests a model may get, as free tiers count them: of all businesses together, for they share its key.

    From the last request on the chain goes to the next model, until the day or the minute is over. Days are each business's.
    """

    model = models.CharField(
        _("model"), max_length=200, unique=True, help_text=_("provider:model, exactly as the business names it.")
    )
    per_day = models.PositiveIntegerField(_("requests a day"), null=True, blank=True, validators=[MinValueValidator(1)])
    per_minute = models.PositiveIntegerField(
        _("requests a minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )

    class Meta:
        verbose_name = _("free tier")
        verbose_name_plural = _("free tiers")

    def __str__(self) -> str:
        return self.model

    def clean(self) -> None:
        """The name can be asked, and something is counted."""
        self.model = self.model.strip()
        if not conf.names_model(self.model):
            raise ValidationError(
                {
                    "model": _("Write provider:model with one of %(providers)s, or offline.")
                    % {"providers": ", ".join(conf.MODEL_PROVIDERS)}
                }
            )
        if self.per_day is None and self.per_minute is None:
            raise ValidationError(_("Say how many requests a day or a minute there may be."))


class UsageMinute(models.Model):
    """Requests to a model in one minute; kept only for models with a quota a minute, and only for an hour."""

    pk = models.CompositePrimaryKey("model", "minute")
    model = models.CharField(max_length=200)
    minute = models.DateTimeField()
    requests = models.IntegerField(db_default=0)


class Budget(models.Model):
    """How much a business may spend. An empty limit is no limit. ``gate`` says what happens at each."""

    APPROVED, HANDOFF = "approved", "handoff"

    business = models.OneToOneField(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="budget"
    )
    day_soft = _limit(_("a day: save from (US$)"))
    day_hard = _limit(_("a day: at most (US$)"))
    conversation_soft = _limit(_("a conversation: save from (US$)"))
    conversation_hard = _limit(_("a conversation: at most (US$)"))
    turn_soft = _limit(_("an answer: cheaper model from (US$)"))
    turn_hard = _limit(_("an answer: shorter context from (US$)"))
    request_tokens = models.PositiveIntegerField(
        _("a request: tokens in, at most"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1000)],
        help_text=_("What was said before gives way first, then tools; guidelines always stay."),
    )
    answer_tokens = models.PositiveIntegerField(
        _("a request: tokens out, at most"), null=True, blank=True, validators=[MinValueValidator(50)]
    )
    whatsapp_month = models.PositiveIntegerField(
        _("WhatsApp: warn from so many conversations a month"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Conversations with a message of ours in this month. Nothing is stopped."),
    )
    cheap_model = models.CharField(
        _("cheaper model"),
        max_length=200,
        blank=True,
        help_text=_("provider:model, used when saving. Empty uses the business's first fallback model."),
    )
    at_limit = models.CharField(
        _("when nothing is left"),
        max_length=10,
        default=APPROVED,
        choices=[
            (APPROVED, _("Approved answers; a person where none fits")),
            (HANDOFF, _("A person, at once")),
        ],
    )

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")

    def __str__(self) -> str:
        return str(self.business)

    def clean(self) -> None:
        """A limit to save from lies below the one it saves for, and the cheaper model can be asked."""
        for scope in ("day", "conversation", "turn"):
            soft, hard = getattr(self, f"{scope}_soft"), getattr(self, f"{scope}_hard")
            if soft is not None and hard is not None and soft > hard:
                raise ValidationError({f"{scope}_soft": _("This must not be more than the limit it saves for.")})
        self.cheap_model = self.cheap_model.strip()
        if self.cheap_model and not conf.names_model(self.cheap_model):
            raise ValidationError(
                {
                    "cheap_model": _("Write provider:model with one of %(providers)s, or offline.")
                    % {"providers": ", ".join(conf.MODEL_PROVIDERS)}
                }
            )


class BudgetNotice(models.Model):
    """The first time in a day that a limit changed how a business answers. Shown on the dashboard and by ``prosa doctor``."""

    business = models.ForeignKey(Business, db_index=False, on_delete=models.CASCADE, related_name="+")
    day = models.DateField(_("day"))
    step = models.CharField(_("step"), max_length=16)
    scope = models.CharField(_("limit"), max_length=16)
    spent = models.DecimalField(_("spent (US$)"), max_digits=16, decimal_places=8)
    created_at = models.DateTimeField(_("when"), db_default=Now())

    class Meta:
        verbose_name = _("budget notice")
        verbose_name_plural = _("budget notices")
        constraints = [
            models.UniqueConstraint(fields=["business", "day", "step", "scope"], name="prosa_budget_notice_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.step}"
