"""“Ask about your business”: a question in plain words, or a report by hand, with the table and the chart of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from prosa.business.models import Business
from prosa.conversations import analyst, reports
from prosa.conversations.reports import Column, Report, Table

DAYS = (1, 7, 30, 90, 365)
SHOWN_ROWS = 200
WIDTH, HEIGHT = 560, 120


class AskForm(forms.Form):
    """Which business, what, over how long."""

    business = forms.ModelChoiceField(
        label=_("business"), queryset=Business.objects.none(), widget=UnfoldAdminSelectWidget()
    )
    question = forms.CharField(
        label=_("your question"),
        required=False,
        max_length=1000,
        help_text=_(
            "For example: how many conversations did we have, what did the assistant cost, why were people needed?"
        ),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
    report = forms.ChoiceField(label=_("or one report"), required=False, widget=UnfoldAdminSelectWidget())
    days = forms.TypedChoiceField(
        label=_("over the last"), coerce=int, initial=reports.USUAL_DAYS, widget=UnfoldAdminSelectWidget()
    )

    def __init__(self, *args: Any, mine: Sequence[Report] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everyone = Business.objects.order_by("name")
        self.fields["business"].queryset = everyone  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["business"].initial = everyone.first()
        chosen = [("", gettext("the one that answers the question")), *((each.name, each.title) for each in mine)]
        self.fields["report"].choices = chosen  # type: ignore[attr-defined]  # a ChoiceField
        spans = [(days, gettext("%d days") % days if days > 1 else gettext("today")) for days in DAYS]
        self.fields["days"].choices = spans  # type: ignore[attr-defined]  # a ChoiceField

    def clean(self) -> dict[str, Any]:
        """Something must be asked."""
        data: dict[str, Any] = self.cleaned_data
        if not self.errors and not data.get("question", "").strip() and not data.get("report"):
            raise forms.ValidationError(gettext("Write a question, or choose a report."))
        return data


@dataclass(frozen=True, slots=True)
class Bar:
    """One of a chart, in its units; ``label`` says day and figure."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as the page draws it. ``numeric`` says which columns stand right."""

    title: str
    period: str
    heads: list[tuple[str, bool]]
    rows: list[list[tuple[str, bool]]]
    totals: list[tuple[str, bool]]
    hidden: int
    bars: list[Bar]
    measure: str


def ask_view(request: HttpRequest) -> HttpResponse:
    """Members of the business only: staff who may see its conversations. Costs are for those who may see budgets."""
    if not request.user.has_perm(reports.SEE_CONVERSATIONS):
        raise PermissionDenied
    mine = analyst.allowed(request.user.has_perm)
    form = AskForm(request.POST if request.method == "POST" else None, mine=mine)
    found: analyst.Found | None = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        if data["report"]:
            found = analyst.look(data["business"], reports.REPORTS[data["report"]], data["days"])
        else:
            locale = get_language() or data["business"].locale
            found = analyst.ask(data["business"], data["question"].strip(), data["days"], mine, locale)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Ask about your business"),
        "subtitle": None,
        "form": form,
        "found": found,
        "tables": [_shown(table) for table in found.tables] if found else [],
        "several": Business.objects.count() > 1,
        "chart": (WIDTH, HEIGHT),
    }
    return TemplateResponse(request, "prosa/admin/analyst.html", context)


def _shown(table: Table) -> Shown:
    columns = table.report.columns
    numeric = [column.kind not in ("day", "text") for column in columns]
    cells = [[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in table.rows]
    kept = cells[-SHOWN_ROWS:]
    totals = [_cell(column, total) for column, total in zip(columns, table.totals, strict=True)]
    place = next((at for at, column in enumerate(columns) if column.kind in ("count", "money")), None)
    place = next((at for at, column in enumerate(columns) if column.kind == "money"), place)
    return Shown(
        title=str(table.report.title),
        period=f"{date_format(table.first, 'SHORT_DATE_FORMAT')} – {date_format(table.last, 'SHORT_DATE_FORMAT')}",
        heads=list(zip((str(column.title) for column in columns), numeric, strict=True)),
        rows=[list(zip(row, numeric, strict=True)) for row in kept],
        totals=list(zip(totals, numeric, strict=True)) if any(totals) and len(cells) > 1 else [],
        hidden=len(cells) - len(kept),
        bars=_bars(table, place) if place is not None else [],
        measure=str(columns[place].title) if place is not None else "",
    )


def _cell(column: Column, cell: Any) -> str:
    if cell is None:
        return ""
    if column.kind == "day":
        return str(date_format(cell, "SHORT_DATE_FORMAT"))
    if column.kind in ("count", "number"):
        return str(number_format(cell, use_l10n=True, force_grouping=True))
    return reports.value(column, cell)


def _bars(table: Table, place: int) -> list[Bar]:
    """One for each day that has a figure, in the whole period; else one for each row."""
    first, column = table.report.columns[0], table.report.columns[place]
    sums: dict[Any, Any] = {}
    for row in table.rows:
        sums[row[0]] = sums.get(row[0], 0) + row[place]
    highest = max(sums.values(), default=0)
    if not highest or first.kind not in ("day", "text"):
        return []
    by_day = first.kind == "day"
    slots = table.days if by_day else min(len(sums), 20)
    width = WIDTH / max(slots, 1)
    bars = []
    for index, (key, figure) in enumerate(list(sums.items())[: None if by_day else slots]):
        at = (key - table.first).days if by_day else index
        height = max(float(figure) / float(highest) * (HEIGHT - 4), 1.0) if figure else 0.0
        gap = min(width * 0.15, 6)
        bars.append(
            Bar(
                round(at * width + gap, 2), round(HEIGHT - height, 2), round(width - 2 * gap, 2), round(height, 2),
                f"{_cell(first, key)}: {_cell(column, figure)}",
            )
        )  # fmt: skip
    return bars
