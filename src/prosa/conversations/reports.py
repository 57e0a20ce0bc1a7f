"""Declared reports about a business: what its people may ask, and exactly which rows answer.

Each has a name, parameters, a query that starts from the business (``reports.sql``) and columns. Nobody, and no model,
words a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from prosa import sql
from prosa.business.zones import zone_named
from prosa.contracts import Json
from prosa.conversations import reasons
from prosa.knowledge import analysis
from prosa.redaction import redact

queries = sql.load(__file__, "reports.sql")

LONGEST_DAYS = 366
USUAL_DAYS = 30
MOST_ROWS = 2000
MOST_TOLD = 60
"""Rows of one report a model reads; the totals are of all."""
SEE_CONVERSATIONS, SEE_COSTS = "prosa_conversations.view_conversation", "prosa_costs.view_budget"

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "days": {
            "type": "integer",
            "minimum": 1,
            "maximum": LONGEST_DAYS,
            "description": f"The last so many days, today included. Without it {USUAL_DAYS}.",
        }
    },
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` as a model reads it, ``title`` as a person does. ``kind``: day, text, count (adds up), number or money."""

    name: str
    title: Any
    kind: str = "count"


@dataclass(frozen=True, slots=True)
class Report:
    """``about`` tells a model when to call it; ``words`` let it be found without one. ``permission``: who may read it."""

    name: str
    title: Any
    about: str
    words: str
    columns: tuple[Column, ...]
    permission: str = SEE_CONVERSATIONS


@dataclass(frozen=True, slots=True)
class Table:
    """A report as read. ``totals`` stand for the columns that add up, None for the others."""

    report: Report
    first: date
    last: date
    rows: tuple[tuple[Any, ...], ...]
    totals: tuple[Any, ...]

    @property
    def days(self) -> int:
        """How many it covers."""
        return (self.last - self.first).days + 1


_DAY = Column("day", _("day"), "day")
REPORTS = {
    report.name: report
    for report in (
        Report(
            "conversations",
            _("Conversations begun, per day and channel"),
            "How many conversations began, by day and channel.",
            "conversa conversas atendimento atendimentos contatos canal canais whatsapp movimento conversación conversaciones "
            "contactos canales conversation conversations chats channel begun",
            (_DAY, Column("channel", _("channel"), "text"), Column("conversations", _("conversations"))),
        ),
        Report(
            "messages",
            _("Messages per day"),
            "How many messages were exchanged, by day: from customers, from the assistant, from people.",
            "mensagem mensagens mensajes message messages texto enviadas recebidas",
            (
                _DAY,
                Column("from customers", _("from customers")),
                Column("from the assistant", _("from the assistant")),
                Column("from people", _("from people")),
            ),
        ),
        Report(
            "handoffs",
            _("Passed to people, and why"),
            "How often conversations were passed to a person of the team, by reason.",
            "pessoa pessoas humano transferida transferências atendente encaminhadas motivo persona personas equipo derivadas "
            "transferidas handoff handoffs person people reason passed escalated",
            (Column("reason", _("reason"), "text"), Column("times", _("times"))),
        ),
        Report(
            "unanswered",
            _("Questions without an answer"),
            "The questions of customers to which the assistant had no answer, newest first.",
            "pergunta perguntas sem resposta respondidas dúvidas preguntas respuesta unanswered questions question unknown answer",
            (_DAY, Column("question", _("question"), "text")),
        ),
        Report(
            "response_times",
            _("How fast the assistant answers"),
            "How long customers waited for the assistant's answer, in seconds, by day: the median and the slowest twentieth.",
            "tempo resposta demora rápido espera segundos tiempo respuesta tarda rápida response time wait fast slow seconds long",
            (
                _DAY,
                Column("answers", _("answers")),
                Column("median seconds", _("median (s)"), "number"),
                Column("slowest twentieth from seconds", _("95 in 100 within (s)"), "number"),
            ),
        ),
        Report(
            "results",
            _("What became of conversations"),
            "Of the conversations that began: how many the assistant answered alone, how many needed people, how many are "
            "resolved.",
            "resultado resultados resolvidas resolvido sozinho assistente resueltas resultados solo results resolved outcome alone",
            (
                Column("conversations", _("conversations")),
                Column("by the assistant alone", _("by the assistant alone")),
                Column("with people", _("with people")),
                Column("resolved", _("resolved")),
            ),
        ),
        Report(
            "costs",
            _("Cost per day"),
            "What models cost in US dollars, by day. Requests of unknown price are in no sum.",
            "custo custos gasto gastos gastou gastamos custou dinheiro dólares valor costo costos gastó dinero cost costs spent "
            "spending money dollars",
            (
                _DAY,
                Column("requests", _("requests")),
                Column("cost in US dollars", _("US$"), "money"),
                Column("requests of unknown price", _("of unknown price")),
            ),
            SEE_COSTS,
        ),
        Report(
            "costs_by_model",
            _("Cost by model"),
            "What each model cost in US dollars, with requests and tokens.",
            "modelo modelos custo por modelo tokens modelo costo model models tokens",
            (
                Column("model", _("model"), "text"),
                Column("requests", _("requests")),
                Column("tokens in", _("tokens in")),
                Column("tokens out", _("tokens out")),
                Column("cost in US dollars", _("US$"), "money"),
                Column("requests of unknown price", _("of unknown price")),
            ),
            SEE_COSTS,
        ),
    )
}


def read(report: Report, business_id: int, zone: str, days: int = USUAL_DAYS) -> Table:
    """The report of the last ``days`` (1 to :data:`LONGEST_DAYS`) of one business, today in its ``zone`` included."""
    known = zone_named(zone)
    last = datetime.now(known).date()
    first = last - timedelta(days=min(max(days, 1), LONGEST_DAYS) - 1)
    given: dict[str, int | str | date] = {
        "business_id": business_id,
        "zone": known.key,
        "first": first,
        "last": last,
        "most": MOST_ROWS,
    }
    query: bytes = getattr(queries, report.name)
    with connection.cursor() as cursor:
        cursor.execute(query.decode(), given)
        rows = tuple(_shown(report, row) for row in cursor.fetchall())
    adds = [column.kind in ("count", "money") for column in report.columns]
    totals = tuple(sum((row[place] for row in rows), 0) if add else None for place, add in enumerate(adds))
    return Table(report, first, last, rows, totals)


def _shown(report: Report, row: Sequence[Any]) -> tuple[Any, ...]:
    """What strangers wrote, without what identifies them; why something happened, in words."""
    return tuple(
        redact(reasons.told(value) if column.name == "reason" else value)
        if column.kind == "text" and isinstance(value, str)
        else value
        for column, value in zip(report.columns, row, strict=True)
    )


def told(table: Table) -> str:
    """For a model: every figure it may repeat, each with its name."""
    report = table.report
    lines = [f"[{report.about} {table.first.isoformat()} to {table.last.isoformat()}, {table.days} days]"]
    totals = [
        f"{column.name} in total: {value(column, total)}"
        for column, total in zip(report.columns, table.totals, strict=True)
        if total is not None
    ]
    lines += [f"{'; '.join(totals)}."] if totals and len(table.rows) != 1 else []
    lines += [
        "; ".join(f"{column.name}: {value(column, cell)}" for column, cell in zip(report.columns, row, strict=True))
        + "."
        for row in table.rows[-MOST_TOLD:]
    ]
    if len(table.rows) > MOST_TOLD:
        lines.append(f"({len(table.rows) - MOST_TOLD} more rows are in the totals.)")
    return "\n".join(lines if table.rows else [*lines[:1], "There was nothing in these days."])


def value(column: Column, cell: Any) -> str:
    """A cell as text: ISO days, money to the cent or, below one, to what is there."""
    if cell is None:
        return ""
    if column.kind == "money":
        amount = Decimal(cell)
        return f"{amount:.2f}" if amount == 0 or amount >= Decimal("0.01") else f"{amount:.6f}"
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def find(question: str, allowed: Sequence[Report]) -> Report | None:
    """The report a question is about, by its words alone; None when they tell of none."""
    asked = analysis.question(0, question)
    scores = [(_shared(asked, report), report) for report in allowed]
    best = max(scores, key=lambda each: each[0], default=(0.0, None))
    return best[1] if best[0] >= 1 else None


def _shared(asked: Sequence[tuple[int, ...]], report: Report) -> float:
    terms = frozenset(analysis.chunk(0, report.words).terms)
    return sum(1.0 for word in asked if word[0] in terms)
