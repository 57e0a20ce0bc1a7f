"""Inboxes: one number, bot or endpoint that customers write to; and the keys of the REST API."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa import conf
from prosa.business.models import Business
from prosa.business.people import Team
from prosa.contracts import InboxConfig
from prosa.encryption import EncryptedJSONField


def new_token() -> str:
    """A verify token: 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


class Inbox(models.Model):
    """One way in. ``kind`` names a registered provider; ``routing_key`` is how its webhooks name this inbox.

    Saving it tells every process (``NOTIFY prosa_inbox``) to read it again: see ``conversations/door``.
    """

    business = models.ForeignKey(Business, verbose_name=_("business"), on_delete=models.CASCADE, related_name="inboxes")
    kind = models.CharField(_("kind"), max_length=40)
    name = models.CharField(_("name"), max_length=120)
    slug = models.SlugField(_("short name"), help_text=_("The last part of the webhook address."))
    routing_key = models.CharField(_("routing key"), max_length=200, blank=True, editable=False)
    credentials = EncryptedJSONField(_("credentials"), blank=True, default=dict)
    verify_token = models.CharField(_("verify token"), max_length=100, default=new_token)
    is_default = models.BooleanField(_("answers at /webhook"), default=False)
    active = models.BooleanField(_("active"), default=True)
    team = models.ForeignKey(
        Team,
        verbose_name=_("team"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="inboxes",
        help_text=_("Who is called from here, unless another team is named. None: the team for everything else."),
    )
    settings = models.JSONField(_("settings"), blank=True, default=dict)
    trouble = models.CharField(
        _("trouble"),
        max_length=500,
        blank=True,
        db_default="",
        help_text=_("Why this inbox cannot send, as the provider said it."),
    )
    trouble_at = models.DateTimeField(_("since"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("inbox")
        verbose_name_plural = _("inboxes")
        ordering = ["business", "name"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "slug"], name="prosa_inbox_slug"),
            models.UniqueConstraint(
                fields=["kind", "routing_key"], condition=~models.Q(routing_key=""), name="prosa_inbox_routing"
            ),
            models.UniqueConstraint(fields=["kind"], condition=models.Q(is_default=True), name="prosa_inbox_default"),
        ]

    def __str__(self) -> str:
        return self.name

    def config(self) -> InboxConfig:
        """As providers know it, opened and immutable; the hot path reads its own copy (``inboxes``)."""
        return InboxConfig(
            id=self.pk,
            business_id=self.business_id,
            kind=self.kind,
            slug=self.slug,
            routing_key=self.routing_key,
            credentials=self.credentials or {},
            verify_token=self.verify_token,
            active=self.active,
            is_default=self.is_default,
            public_url=conf.settings().public_url,
            settings=self.settings,
        )


class ApiKey(models.Model):
    """A key of the REST API. Only its SHA-256 is kept; the key itself is shown once."""

    inbox = models.ForeignKey(Inbox, verbose_name=_("inbox"), on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(_("name"), max_length=120)
    prefix = models.CharField(_("begins with"), max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def fingerprint(key: str) -> str:
        """SHA-256 in hex. Keys are 256 random bits, so no salt or stretching is needed."""
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(cls, inbox: Inbox, name: str) -> tuple[ApiKey, str]:
        """Make a key for ``inbox``; returns the row and the key, which cannot be read again."""
        key = f"prosa_{secrets.token_urlsafe(32)}"
        return cls.objects.create(inbox=inbox, name=name, prefix=key[:12], digest=cls.fingerprint(key)), key

    def matches(self, key: str) -> bool:
        """Constant-time comparison with a presented key."""
        return hmac.compare_digest(self.digest, self.fingerprint(key))
