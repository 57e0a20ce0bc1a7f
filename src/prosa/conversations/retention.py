"""Forgetting: what is kept only for a time."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from prosa import conf
from prosa.conversations.models import WebhookEvent
from prosa.queue import periodic

BATCH = 5_000


@periodic("17 * * * *")
def forget_webhook_events() -> None:
    """Delete raw webhooks older than ``PROSA_WEBHOOK_RETENTION_DAYS``, in short transactions."""
    limit = timezone.now() - timedelta(days=conf.settings().webhook_retention_days)
    while True:
        oldest = WebhookEvent.objects.filter(received_at__lt=limit).order_by("id").values("id")[:BATCH]
        deleted, _ = WebhookEvent.objects.filter(id__in=oldest).delete()
        if deleted < BATCH:
            return
