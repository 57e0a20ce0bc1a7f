"""The tenant and what its owner decides."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from prosa import conf
from prosa.business import people, zones

VOICE_NEVER, VOICE_ASKED, VOICE_ALIKE = "never", "asked", "alike"
"""When replies are spoken: never, when the customer asks for it, also when the customer sent a voice note."""
LOCALES = [("pt-br", "Português (Brasil)"), ("es", "Español"), ("en", "English")]

ELSEWHERE = (people.Membership, people.Team, people.Invitation, people.Holiday)
"""Models of this app in a file of their own; Django finds them through this one."""

SESSION_UNITS = [("hours", _("hours")), ("days", _("days")), ("weeks", _("weeks"))]


def by_user(label: Any, *, blank: bool = True, editable: bool = True) -> models.ForeignKey[Any, Any]:
    """Who did it; nobody once the account is gone."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=label, null=True, blank=blank, editable=editable,
        on_delete=models.SET_NULL, related_name="+",
    )  # fmt: skip


class Business(models.Model):
    """A company served by this installation. Everything a customer's data touches belongs to exactly one."""

    name = models.CharField(_("name"), max_length=120)
    slug = models.SlugField(
        _("short name"), unique=True, help_text=_("Used in addresses; letters, digits and hyphens.")
    )
    locale = models.CharField(_("language"), max_length=10, choices=LOCALES, default="pt-br")
    timezone = models.CharField(_("time zone"), max_length=64, default="America/Sao_Paulo")
    active = models.BooleanField(
        _("active"), default=True, help_text=_("When off, messages are stored but nobody answers them automatically.")
    )

    model = models.CharField(
        _("model"),
        max_length=200,
        blank=True,
        help_text=_(
            "provider:model, for example openai-chat:gpt-4.1-mini, google:gemini-3.5-flash-lite, anthropic:claude-sonnet-4-5 or offline. Empty uses PROSA_MODEL."
        ),
    )
    fallback_models = models.CharField(
        _("fallback models"),
        max_length=500,
        blank=True,
        help_text=_("Tried in order when the first fails, separated by commas."),
    )
    strict_topics = models.TextField(
        _("only approved answers on"),
        blank=True,
        db_default="",
        default="",
        help_text=_(
            "One topic a line, other wordings of it after semicolons: refund; money back. On these the assistant says approved answers word by word or offers a person; no model words an answer."
        ),
    )
    request_deadline_s = models.PositiveIntegerField(
        _("deadline of one model request (s)"), default=30, validators=[MinValueValidator(1), MaxValueValidator(600)]
    )
    turn_deadline_s = models.PositiveIntegerField(
        _("deadline of a whole answer (s)"), default=60, validators=[MinValueValidator(1), MaxValueValidator(900)]
    )
    history_tokens = models.PositiveIntegerField(
        _("history budget (tokens)"), default=6000, validators=[MaxValueValidator(200_000)]
    )

    quiet_ms = models.PositiveIntegerField(
        _("quiet period (ms)"),
        default=1500,
        validators=[MaxValueValidator(60_000)],
        help_text=_("How long to wait for the customer to finish typing; each message restarts it."),
    )
    max_quiet_ms = models.PositiveIntegerField(
        _("longest wait (ms)"), default=6000, validators=[MaxValueValidator(120_000)]
    )
    reopen_hours = models.PositiveIntegerField(
        _("re-open within (hours)"),
        default=24,
        help_text=_("A message this soon after the end re-opens the conversation; later it starts a new one."),
    )
    max_age_hours = models.PositiveIntegerField(
        _("answer messages up to (hours old)"),
        default=12,
        help_text=_("Older ones, redelivered after an outage, wait for a person."),
    )
    wait_notice_minutes = models.PositiveIntegerField(
        _("wait notice every (minutes)"), default=30, help_text=_("While a customer waits for a person.")
    )

    hours = models.JSONField(
        _("opening hours"),
        default=dict,
        blank=True,
        db_default={},
        help_text=_("When people are there to answer. Without any hours: always."),
    )
    handoff_words = models.TextField(
        _("words that ask for a person"),
        blank=True,
        default="",
        db_default="",
        help_text=_("One expression a line, besides the usual ones (“falar com atendente”, “talk to a person”…)."),
    )
    handoff_without = models.TextField(_("usual words switched off"), blank=True, default="", db_default="")
    handoff_text = models.TextField(
        _("what is said when a person is called"),
        blank=True,
        default="",
        db_default="",
        max_length=600,
        help_text=_(
            "In your own words. How many wait before, or when you open, is added. Empty: Prosa's own sentence, which customers who write in another language read in any case."
        ),
    )
    failures_before_handoff = models.PositiveSmallIntegerField(
        _("unanswered questions before a person is called"),
        default=3,
        db_default=3,
        validators=[MaxValueValidator(50)],
        help_text=_("In a row. 0: only offer a person, never call one by itself."),
    )
    take_minutes = models.PositiveIntegerField(
        _("somebody else after (minutes)"),
        default=5,
        db_default=5,
        validators=[MaxValueValidator(10_000)],
        help_text=_(
            "When who was given a conversation does not take it. After twice that, administrators are told. 0: never."
        ),
    )
    case_minutes = models.PositiveSmallIntegerField(
        _("minutes between reminders of a question"),
        default=10,
        db_default=10,
        validators=[MaxValueValidator(240)],
        help_text=_(
            "The assistant may ask the team one question while it goes on serving the customer. After three reminders the conversation goes to people. 0: it asks nobody."
        ),
    )
    handback_minutes = models.PositiveIntegerField(
        _("back to the assistant after (minutes)"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(100_000)],
        help_text=_("When the customer wrote and no person answered for so long. 0: never by itself."),
    )
    tell_handback = models.BooleanField(
        _("tell the customer that the assistant is back"), default=False, db_default=False
    )

    voice_replies = models.CharField(
        _("answer with voice notes"),
        max_length=10,
        default=VOICE_ASKED,
        db_default=VOICE_ASKED,
        choices=[
            (VOICE_NEVER, _("Never")),
            (VOICE_ASKED, _("When the customer asks for it")),
            (VOICE_ALIKE, _("When the customer asks for it or sent a voice note")),
        ],
        help_text=_(
            "Needs PROSA_SPEECH_MODEL. Where no voice note can be made or sent, the same words go out as text."
        ),
    )
    voice = models.CharField(
        _("voice"),
        max_length=60,
        blank=True,
        default="",
        db_default="",
        help_text=_("As the speech model names it, for example alloy or nova. Empty uses its usual one."),
    )
    voice_words = models.TextField(
        _("words that ask for a voice note"),
        blank=True,
        default="",
        db_default="",
        help_text=_("One expression a line, besides the usual ones (“me manda um áudio”, “send me a voice note”…)."),
    )

    session_length = models.PositiveIntegerField(
        _("a talk is over after a silence of"),
        default=1,
        validators=[MaxValueValidator(10_000)],
        help_text=_("Then the assistant reads a summary instead of the old lines. 0: never."),
    )
    session_unit = models.CharField(_("unit"), max_length=5, choices=SESSION_UNITS, default="weeks")
    reset_words = models.CharField(
        _("words that start afresh"),
        max_length=300,
        blank=True,
        default="/limpar, /reset, /nova",
        help_text=_(
            "A customer who writes exactly one of them starts afresh; with “tudo”, “todo” or “all” behind it, what is remembered of them is erased too. Separated by commas."
        ),
    )

    link_customers = models.BooleanField(
        _("link customers by themselves"),
        default=False,
        db_default=False,
        help_text=_(
            "When exactly one customer of your system has the number or e-mail address a contact proved. Off: they are suggested, and a person links them."
        ),
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("business")
        verbose_name_plural = _("businesses")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises ``ValidationError`` for a time zone that does not exist: no answer could be dated."""
        if not zones.known(self.timezone):
            raise ValidationError(
                {"timezone": _("There is no such time zone. Write a name such as America/Sao_Paulo.")}
            )
        super().save(*args, **kwargs)


class Guideline(models.Model):
    """What the assistant must know and obey, as in force: a copy of the version numbered ``version``.

    ``text`` and ``rules`` change together by ``publish``, or by ``save``, which publishes. A rule is a row of
    ``guidance.Rule``.
    """

    business = models.OneToOneField(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="guideline"
    )
    text = models.TextField(
        _("guidelines"),
        blank=True,
        help_text=_("Persona, tone, rules, opening hours, policies. Applied to the very next reply."),
    )
    rules = models.JSONField(_("conditional guidelines"), default=list, blank=True)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    revisions = models.PositiveIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)
    updated_by = by_user(_("updated by"), editable=False)

    class Meta:
        verbose_name = _("guideline")
        verbose_name_plural = _("guidelines")

    def __str__(self) -> str:
        return f"{self.business} v{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep it; a new or changed text is also kept as a version."""
        with transaction.atomic():
            stored = type(self).objects.filter(pk=self.pk).values_list("text", "rules").first() if self.pk else None
            changed = stored != (self.text, self.rules)
            if stored is not None and changed:
                self.version += 1
                self.updated_at = timezone.now()
                if kwargs.get("update_fields") is not None:
                    kwargs["update_fields"] = {*kwargs["update_fields"], "version", "updated_at"}
            super().save(*args, **kwargs)
            if changed:
                self._record("", self.updated_by)

    def publish(self, text: str, rules: list[dict[str, Any]], note: str, by: Any = None) -> GuidelineVersion:
        """Make ``text`` and ``rules`` the version in force. The caller holds the row's lock."""
        self.text, self.rules, self.updated_at = text, rules, timezone.now()
        self.updated_by_id = by.pk if by is not None else None
        self.version += 1
        super().save()
        return self._record(note, by)

    def _record(self, note: str, by: Any) -> GuidelineVersion:
        return self.versions.create(
            number=self.version, text=self.text, rules=self.rules, note=note, published_at=self.updated_at,
            published_by=by, published_name=by.get_username() if by is not None else "",
        )  # fmt: skip


WORDED = ("sales", "support", "scheduling")
"""Specialists that the house has words for: ``prosa.agents.specialists.ROLES``."""
MEMBERS_ONLY = "analytics"


class Specialist(models.Model):
    """One of those who share a business's conversations with customers (see ``prosa.agents.specialists``).

    What is left empty is worded by the house, for the roles it knows. With none or one active, nothing is divided.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), db_index=False, on_delete=models.CASCADE, related_name="specialists"
    )
    name = models.SlugField(
        _("name"),
        max_length=40,
        help_text=_("sales, support and scheduling bring their own words; any other name needs yours."),
    )
    active = models.BooleanField(_("active"), default=True)
    position = models.PositiveSmallIntegerField(
        pgettext_lazy("position", "order"),
        default=10,
        help_text=_("The first one answers where nothing tells who should."),
    )
    about = models.CharField(
        _("what for"),
        max_length=300,
        blank=True,
        help_text=_("One sentence, by which the others know when to pass the conversation on."),
    )
    instructions = models.TextField(
        _("instructions"),
        blank=True,
        max_length=8000,
        help_text=_("How it works, beside the guidelines of the business."),
    )
    keywords = models.TextField(
        _("keywords"),
        blank=True,
        max_length=2000,
        help_text=_("Words in a customer's first message that choose it, separated by commas."),
    )
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("provider:model. Empty uses the business's.")
    )

    class Meta:
        verbose_name = _("specialist")
        verbose_name_plural = _("specialists")
        ordering = ["business", "position", "id"]
        constraints = [models.UniqueConstraint("business", "name", name="prosa_business_specialist_name")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A role that can be played for customers, by a model that can be asked."""
        self.model = self.model.strip()
        if self.name == MEMBERS_ONLY:
            said = _(
                "Analytics serves the members of a business and never customers. Ask it under “Ask about your business”."
            )
            raise ValidationError({"name": said})
        if self.name not in WORDED and not (self.about.strip() and self.instructions.strip()):
            raise ValidationError(
                _("This name brings no words of its own: write what it is for, and its instructions.")
            )
        if self.model and not conf.names_model(self.model):
            said = _("Write provider:model with one of %(providers)s, or offline.")
            raise ValidationError({"model": said % {"providers": ", ".join(conf.MODEL_PROVIDERS)}})


class GuidelineVersion(models.Model):
    """Guidelines as published once. Never changes (a trigger refuses); ``published_name`` outlives the user."""

    guideline = models.ForeignKey(
        Guideline, verbose_name=_("guideline"), on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField(_("version"))
    text = models.TextField(_("guidelines"), blank=True)
    rules = models.JSONField(_("conditional guidelines"), default=list, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    published_at = models.DateTimeField(_("published"), default=timezone.now)
    published_by = by_user(_("published by"))
    published_name = models.CharField(_("published by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("version of guidelines")
        verbose_name_plural = _("versions of guidelines")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint("guideline", "number", name="prosa_business_version_number")]

    def __str__(self) -> str:
        return f"{self.guideline_id} v{self.number}"


class GuidelineDraft(models.Model):
    """What is being written and obeyed by nobody yet. ``revision`` is new with every save, never used again."""

    guideline = models.OneToOneField(
        Guideline, verbose_name=_("guideline"), on_delete=models.CASCADE, related_name="draft"
    )
    text = models.TextField(_("guidelines"), blank=True)
    rules = models.JSONField(_("conditional guidelines"), default=list, blank=True)
    based_on = models.PositiveIntegerField(_("begun from version"))
    revision = models.PositiveIntegerField()
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    updated_by = by_user(_("updated by"))

    class Meta:
        verbose_name = _("draft of guidelines")
        verbose_name_plural = _("drafts of guidelines")

    def __str__(self) -> str:
        return f"{self.guideline_id} r{self.revision}"
