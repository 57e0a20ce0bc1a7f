"""A member of the business asks about it in plain words, and gets an answer with the table it stands on.

With a model one turn of the analytics specialist, whose only tools are the declared reports the member may read. Without
one (none set, none answers, the budget is used up) the report that the words name, as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from prosa import conf
from prosa.agents import runner, specialists
from prosa.business.models import Business
from prosa.business.zones import zone_named
from prosa.contracts import Json, Line, Tool, ToolContext, ToolResult, Turn, TurnResult, Usage
from prosa.conversations import reports
from prosa.conversations.reports import Report, Table
from prosa.costs import gate, ledger, spending

PURPOSE = "analytics"
MOST_TABLES = 4


@dataclass(slots=True)
class Found:
    """``text`` in the member's language. ``model`` is empty when none was asked or none answered."""

    text: str = ""
    tables: list[Table] = field(default_factory=list)
    model: str = ""


def allowed(may: Callable[[str], bool]) -> list[Report]:
    """The reports somebody with these permissions may read."""
    return [report for report in reports.REPORTS.values() if may(report.permission)]


def look(business: Business, report: Report, days: int) -> Found:
    """One report, chosen by hand."""
    table = reports.read(report, business.pk, business.timezone, days)
    return Found(summed(table), [table])


def ask(business: Business, question: str, days: int, mine: list[Report], locale: str) -> Found:
    """Answer a question of a member who may read the reports ``mine``."""
    standing = spending.standing(business.pk)
    turn = gate.apply(_turn(business, question, days, locale), gate.judge(standing), standing)
    if turn.model != "offline":
        found = _think(business, turn, mine, standing)
        if found is not None:
            return found
    report = reports.find(question, mine)
    if report is not None:
        return look(business, report, days)
    return Found(_("No report is about this by its words. Choose one, or ask in other words."))


def summed(table: Table) -> str:
    """A report in one sentence."""
    days = ngettext("%(count)d day", "%(count)d days", table.days) % {"count": table.days}
    if not table.rows:
        return _("%(title)s, %(days)s: nothing happened.") % {"title": table.report.title, "days": days}
    totals = [
        f"{reports.value(column, total)} {column.title}"
        for column, total in zip(table.report.columns, table.totals, strict=True)
        if total is not None
    ]
    told = ", ".join(totals) or ngettext("%(count)d row", "%(count)d rows", len(table.rows)) % {
        "count": len(table.rows)
    }
    return _("%(title)s, %(days)s: %(told)s.") % {"title": table.report.title, "days": days, "told": told}


def _turn(business: Business, question: str, days: int, locale: str) -> Turn:
    settings = conf.settings()
    now = datetime.now(zone_named(business.timezone))
    role = f"{specialists.ANALYST.instructions}\nThe page asks for the last {days} days; the question may name others."
    return Turn(
        business_name=business.name,
        locale=locale,
        channel="admin",
        question=(Line("customer", question, now),),
        now=now,
        model=business.model or settings.model,
        fallback_models=tuple(part.strip() for part in business.fallback_models.split(",") if part.strip())
        or settings.fallback_models,
        request_deadline=float(business.request_deadline_s),
        turn_deadline=float(business.turn_deadline_s),
        specialist=specialists.ANALYTICS,
        role=role,
        proposals=frozenset(),
        audience="member",
    )


def _think(business: Business, turn: Turn, mine: list[Report], standing: gate.Standing) -> Found | None:
    """The specialist's answer; None when no model gave one. What it cost is booked either way."""
    tables: list[Table] = []
    spent: list[ledger.Entry] = []

    def used(name: str, usage: Usage) -> None:
        spent.append(ledger.Entry(name, usage, PURPOSE))

    async def think() -> TurnResult:
        tools = tuple(_tool(business, report, tables) for report in mine)
        try:
            return await runner.run(replace(turn, tools=tools, spent=used))
        finally:
            await runner.close()

    # A loop of its own: the models' connections belong to it and end with it.
    result = async_to_sync(think, force_new_loop=True)()
    _book(business.pk, standing, spent)
    if result.model in ("", "offline") or not result.replies:
        return None
    return Found(result.replies[0].text, tables[-MOST_TABLES:], result.model)


def _tool(business: Business, report: Report, tables: list[Table]) -> Tool:
    """A report as a tool: of this business, whatever the model says."""

    async def run(_: ToolContext, given: Json) -> ToolResult:
        days = int(given.get("days", reports.USUAL_DAYS))
        table = await sync_to_async(reports.read)(report, business.pk, business.timezone, days)
        tables.append(table)
        return ToolResult(reports.told(table))

    return Tool(f"report_{report.name}", report.about, reports.SCHEMA, run)


def _book(business_id: int, standing: gate.Standing, spent: list[ledger.Entry]) -> None:
    if (packed := ledger.packed(spent)) is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT prosa_costs_book(%s, %s, %s, %s::jsonb)", [business_id, standing.day, 0, packed])
