"""What ``prosa doctor`` says about conversations: work that stands still and webhooks nobody understood."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from prosa import conf, telemetry
from prosa.contracts import Finding
from prosa.conversations.acts import offers
from prosa.conversations.lanes import Dispatch
from prosa.conversations.models import Conversation, Message, State, WebhookEvent
from prosa.hookspecs import hookimpl

PATIENCE = timedelta(minutes=2)


@hookimpl
def doctor_checks() -> Iterable[Finding]:
    """Dead letters, strange webhooks, sends of unknown outcome, work that waits too long, customers nobody took."""
    now = timezone.now()
    counts = Dispatch.objects.aggregate(
        dead=Count("pk", filter=Q(dead_at__isnull=False)),
        late=Count("pk", filter=Q(owner__isnull=True, run_at__lt=now - PATIENCE)),
    )
    strange = {
        row["outcome"]: row["count"]
        for row in WebhookEvent.objects.exclude(outcome="ok")
        .filter(replayed_at__isnull=True)
        .values("outcome")
        .annotate(count=Count("pk"))
    }
    unknown = Message.objects.filter(status="unconfirmed").count()
    waiting = Conversation.objects.filter(state=State.AWAITING_AGENT, state_at__lt=now - timedelta(hours=1)).count()
    findings = []
    if conf.settings().otlp_endpoint and not telemetry.installed():
        findings.append(
            Finding(
                "warning",
                _("telemetry"),
                _("OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed."),
                _("Run: pip install 'prosa[otel]'"),
            )
        )
    if counts["dead"]:
        findings.append(
            Finding(
                "error",
                _("dead letters"),
                _("%d pieces of work failed too often.") % counts["dead"],
                _("Read why in the admin under Dead letters, mend the cause and replay them."),
            )
        )
    if counts["late"]:
        findings.append(
            Finding(
                "error",
                _("work"),
                _("%d conversations have waited for a worker for more than two minutes.") % counts["late"],
                _("Start a worker: prosa worker."),
            )
        )
    for outcome, count in sorted(strange.items()):
        findings.append(
            Finding(
                "warning",
                _("webhooks"),
                _("%(count)d webhooks are %(outcome)s.") % {"count": count, "outcome": outcome},
                _("Look at them in the admin under Webhook events; after the fix, replay them."),
            )
        )
    if unknown:
        findings.append(
            Finding(
                "warning",
                _("deliveries"),
                _("%d messages may or may not have left.") % unknown,
                _("They are reconciled within two minutes; those that stay need a person to look."),
            )
        )
    if waiting:
        findings.append(
            Finding(
                "warning",
                _("people"),
                _("%d customers have waited for a person for more than an hour.") % waiting,
                _("Take the conversations, or give them back to the assistant."),
            )
        )
    findings += offers.findings()
    return findings or [Finding("ok", _("conversations"), _("Nothing stands still."))]
