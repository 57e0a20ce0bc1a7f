"""What tools did, in the admin: the ledger as a list that nobody edits."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from prosa.business.pages import register
from prosa.conversations.acts.deeds import Execution
from prosa.conversations.pages.frame import ReadOnlyAdmin, conversation_link
from prosa.redaction import redact

STATUSES = {"running": _("running"), "done": _("done"), "failed": _("not done"), "unknown": _("not known")}
RISKS = {"read": _("only reads"), "write": _("changes something"), "destructive": _("cannot be taken back")}
BADGES = {"running": "info", "done": "success", "failed": "warning", "unknown": "danger"}


@register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Every writing call: which tool, for whom, what came of it. An unknown one needs a person to look."""

    list_display = ("tool", "shown_status", "shown_conversation", "shown_arguments", "shown_result", "started_at")
    list_filter = ("status", "tool", "business", "started_at")
    list_select_related = ("business",)
    search_fields = ("tool", "result")
    ordering = ("-id",)
    actions = None
    fields = (
        "tool",
        "told_risk",
        "business",
        "shown_conversation",
        "told_status",
        "shown_arguments",
        "shown_result",
        "shown_record",
        "started_at",
        "ended_at",
        "key",
    )

    @display(description=_("outcome"), ordering="status", label=BADGES)  # type: ignore[untyped-decorator]
    def shown_status(self, row: Execution) -> tuple[str, str]:
        """In words."""
        return row.status, str(STATUSES.get(row.status, row.status))

    @admin.display(description=_("outcome"))
    def told_status(self, row: Execution) -> str:
        """In words, where there is no place for a badge."""
        return str(STATUSES.get(row.status, row.status))

    @admin.display(description=_("risk"))
    def told_risk(self, row: Execution) -> str:
        """In words."""
        return str(RISKS.get(row.risk, row.risk))

    @admin.display(description=_("conversation"))
    def shown_conversation(self, row: Execution) -> str:
        """Where it was done."""
        return conversation_link(row.conversation_id)

    @admin.display(description=_("arguments"))
    def shown_arguments(self, row: Execution) -> str:
        """Without secrets and personal data."""
        return ", ".join(f"{name}: {_short(value)}" for name, value in row.shown.items()) or "—"

    @admin.display(description=_("result"))
    def shown_result(self, row: Execution) -> str:
        """Its beginning."""
        return redact(row.result[:300]) or "—"

    @admin.display(description=_("details"))
    def shown_record(self, row: Execution) -> str:
        """What the tool keeps for people."""
        return redact(json.dumps(row.record, ensure_ascii=False)[:2000]) if row.record else "—"


def _short(value: object) -> str:
    return value[:120] if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[:120]
