"""Who a contact is elsewhere: the link to a customer of an ERP, a buyer of a shop, a user of the platform."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from prosa.business.models import Business

LIVE, UNDONE, DECLINED = "live", "undone", "declined"


class How(models.TextChoices):
    """On what a link stands."""

    PROVED_PHONE = "proved_phone", _("by the number the channel proves")
    PROVED_EMAIL = "proved_email", _("by the e-mail address the customer proved")
    SIGNED = "signed", _("by the site they are signed in to")
    BY_HAND = "by_hand", _("by hand")


class Link(models.Model):
    """A contact is this customer of a register. Rows stay: what was undone, and what somebody declined (“not this one”).

    ``kind`` is the register's, ``key`` the customer's there, ``label`` what they were called when it was made. ``proof``
    is the identity it stands on; ``user`` who made it, ``automatic`` where the business lets proved ones link by themselves.
    ``origin_id``: see :class:`~prosa.contacts.models.Identity`.
    """

    business = models.ForeignKey(
        Business, verbose_name=_("business"), on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    contact = models.ForeignKey(
        "prosa_contacts.Contact",
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="links",
    )
    kind = models.CharField(_("register"), max_length=40)
    key = models.CharField(_("key"), max_length=200)
    label = models.CharField(_("customer"), max_length=200)
    how = models.CharField(_("how"), max_length=20, choices=How, default=How.BY_HAND)
    proof = models.CharField(max_length=200, blank=True, default="")
    status = models.CharField(_("state"), max_length=10, default=LIVE)
    automatic = models.BooleanField(_("by itself"), default=False)
    origin_id = models.BigIntegerField(null=True, blank=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("linked"), db_default=Now())
    ended_at = models.DateTimeField(_("undone"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("undone by"),
        null=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        verbose_name = _("link to a customer")
        verbose_name_plural = _("links to customers")
        ordering = ["id"]
        indexes = [models.Index(fields=["contact", "kind"], name="prosa_link_contact")]
        constraints = [
            models.UniqueConstraint(fields=["contact", "kind"], condition=Q(status=LIVE), name="prosa_link_one"),
            # What nobody looked at is only ever linked to one contact.
            models.UniqueConstraint(
                fields=["business", "kind", "key"],
                condition=Q(status=LIVE, automatic=True),
                name="prosa_link_alone",
            ),
            models.CheckConstraint(condition=Q(status__in=[LIVE, UNDONE, DECLINED]), name="prosa_link_status"),
        ]

    def __str__(self) -> str:
        return self.label
