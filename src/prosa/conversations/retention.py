"""Forgetting: what is kept only for a time."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from prosa import conf
from prosa.conversations.acts.deeds import Execution, IdentityProof, PendingAction
from prosa.conversations.models import WebhookEvent
from prosa.queue import periodic

BATCH = 5_000
DEEDS_DAYS = 365
"""Days the ledger of tools and what customers confirmed are kept: longer than most disputes take."""
PROOFS_DAYS = 2
"""Days attempts to prove an identity are kept. They are counted over one; the timeline keeps the fact."""


@periodic("17 * * * *")
def forget_webhook_events() -> None:
    """Delete raw webhooks older than ``PROSA_WEBHOOK_RETENTION_DAYS``, in short transactions."""
    limit = timezone.now() - timedelta(days=conf.settings().webhook_retention_days)
    while True:
        oldest = WebhookEvent.objects.filter(received_at__lt=limit).order_by("id").values("id")[:BATCH]
        deleted, _ = WebhookEvent.objects.filter(id__in=oldest).delete()
        if deleted < BATCH:
            return


@periodic("41 3 * * *")
def forget_deeds() -> None:
    """Delete old rows of the ledger, of confirmed actions and of proofs."""
    now = timezone.now()
    year = now - timedelta(days=DEEDS_DAYS)
    Execution.objects.filter(started_at__lt=year).delete()
    PendingAction.objects.filter(created_at__lt=year).delete()
    IdentityProof.objects.filter(created_at__lt=now - timedelta(days=PROOFS_DAYS)).delete()
