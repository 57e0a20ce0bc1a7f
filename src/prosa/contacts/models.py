"""Who writes to a business, and every way they are known."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business
from prosa.contacts import links

ELSEWHERE = (links.Link,)
"""Models of this app in a file of their own; Django finds them through this one."""


class Contact(models.Model):
    """A person who wrote to (or was written to by) a business. The phone is never the key: see :class:`Identity`."""

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="contacts"
    )
    name = models.CharField(_("name"), max_length=200, blank=True, db_default="")
    locale = models.CharField(_("language"), max_length=10, blank=True, db_default="")
    blocked_at = models.DateTimeField(_("blocked"), null=True, blank=True)
    opted_out_at = models.DateTimeField(_("opted out"), null=True, blank=True)
    created_at = models.DateTimeField(_("first seen"), db_default=Now())

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        indexes = [models.Index(fields=["business", "-id"], name="prosa_contact_recent")]

    def __str__(self) -> str:
        return self.name or f"#{self.pk}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """With those merged into them: who is erased is erased under every name."""
        for each in Contact.objects.filter(merge__kept=self, merge__undone_at=None):
            each.delete()
        return super().delete(*args, **kwargs)

    def names(self) -> set[int]:
        """Their own number, and those of everybody merged into them."""
        found = fresh = {self.pk}
        while fresh:
            live = Merge.objects.filter(kept_id__in=fresh, undone_at=None)
            fresh = set(live.values_list("merged_id", flat=True)) - found
            found = found | fresh
        return found


class Identity(models.Model):
    """One key of a contact, ``kind:value`` in canonical form; ``address`` is what the provider calls it.

    ``origin_id`` is the contact it came from, where that was merged into this one; NULL: it is this contact's own.

    An index on the business alone would tempt the planner of a fresh installation to use it instead of the key's.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    contact = models.ForeignKey(Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="identities")
    key = models.CharField(_("key"), max_length=200)
    address = models.CharField(_("address"), max_length=200, blank=True, db_default="")
    origin_id = models.BigIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("first seen"), db_default=Now())

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [models.UniqueConstraint(fields=["business", "key"], name="prosa_identity_key")]

    def __str__(self) -> str:
        return self.key

    @property
    def kind(self) -> str:
        """``phone``, ``bsuid``, ``user``…"""
        return self.key.partition(":")[0]

    @property
    def value(self) -> str:
        """The canonical value without its kind."""
        return self.key.partition(":")[2]


class Fact(models.Model):
    """Something lasting a person told about themselves: see ``facts``.

    ``key`` is the text as it is compared. The source is kept as ids of a conversation, a turn and a message, which lie
    in a layer above and may be gone. ``origin_id``: see :class:`Identity`.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, db_index=False, related_name="facts"
    )
    text = models.CharField(_("fact"), max_length=300)
    key = models.CharField(max_length=300, editable=False)
    conversation_id = models.BigIntegerField(_("conversation"), null=True, blank=True, editable=False)
    turn_id = models.BigIntegerField(null=True, blank=True, editable=False)
    message_id = models.BigIntegerField(null=True, blank=True, editable=False)
    origin_id = models.BigIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("told"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(
        _("forget after"), null=True, blank=True, help_text=_("Empty: kept until somebody erases it.")
    )

    class Meta:
        verbose_name = _("fact")
        verbose_name_plural = _("facts remembered")
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["contact", "key"], name="prosa_fact_once")]

    def __str__(self) -> str:
        # Without its words: the admin's log would keep what was erased.
        return f"#{self.pk}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Also what somebody merged into the contact told alike: undoing must not bring it back."""
        Fact.objects.filter(contact__in=self.contact.names(), key=self.key).exclude(pk=self.pk).delete()
        return super().delete(*args, **kwargs)


class Merge(models.Model):
    """Two contacts are one person, somebody said: what was ``merged``'s is ``kept``'s until it is undone.

    ``merged`` stays as it was, empty of identities and conversations. ``before`` and ``after`` are what merging changed of
    ``kept``, so that undoing can tell it from what people changed later; ``last_fact`` the newest fact of the moment, for
    later ones go with the conversation they were told in. ``moved``: how many of what.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    kept = models.ForeignKey(Contact, verbose_name=_("kept"), on_delete=models.CASCADE, related_name="merges")
    merged = models.ForeignKey(
        Contact, verbose_name=_("merged"), on_delete=models.CASCADE, db_index=False, related_name="merge"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    before = models.JSONField(db_default={})
    after = models.JSONField(db_default={})
    moved = models.JSONField(db_default={})
    last_fact = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(_("merged"), db_default=Now())
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("undone by"),
        null=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        verbose_name = _("merge of contacts")
        verbose_name_plural = _("merges of contacts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["merged"], condition=Q(undone_at=None), name="prosa_merge_once"),
            models.CheckConstraint(condition=~Q(kept=models.F("merged")), name="prosa_merge_two"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
