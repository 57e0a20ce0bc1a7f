"""What the budget page shows. Today's figures and the limits come from the query the gate reads, the rest from the ledger."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.db import connection
from django.db.models import Sum
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from prosa import conf
from prosa.business.zones import zone_named
from prosa.costs import counting, gate
from prosa.costs.gate import Limit, Standing, Step, Verdict
from prosa.costs.models import Budget, BudgetNotice, UsageDay

DAYS = 30
COLOURS = ("#0f766e", "#b45309", "#6d5bd0", "#2f6fb5", "#b03a6a", "#7a8b85")
"""Of the models in the chart, dearest first; the last is for all others together. Each stands out on white and on black."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit with what was spent of it. ``percent`` and ``mark`` (the soft limit) are of the bar's length."""

    percent: int
    mark: int | None
    level: str


@dataclass(frozen=True, slots=True)
class Dearest:
    """Among a day's conversations, in US dollars: the dearest, with the address of its page, and the dearest answer."""

    conversation: Decimal
    url: str
    answer: Decimal


dearest: Callable[[int, date, str], Dearest | None] = lambda _business, _day, _zone: None  # noqa: E731 -- replaced whole
"""Of a business's day in its time zone. Conversations lie above this package: they put their own look here."""


@dataclass(frozen=True, slots=True)
class Line:
    """A model over the last :data:`DAYS` days. ``cost`` None: no request of it had a price."""

    model: str
    requests: int
    tokens: int
    cost: Decimal | None
    unpriced: int
    priced_now: bool
    price_url: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A notice of today: the furthest step that a limit of this business asked for. ``level``: warning or danger."""

    business: str
    name: str
    meaning: str
    level: str
    url: str
    title: str = ""
    """Instead of the business's budget: which free tier is running out."""


def standing(business_id: int) -> Standing:
    """What a business spent today and its limits, as the gate reads them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosa_costs_standing(%s)", [business_id])
        row: Any = cursor.fetchone()[0]
    return gate.read(row if isinstance(row, Mapping) else json.loads(row))


def cheaper(budget: Budget) -> str:
    """The model that answers while its business saves; empty when none is set, then saving changes no model."""
    business, settings = budget.business, conf.settings()
    chain = tuple(filter(None, map(str.strip, business.fallback_models.split(",")))) or settings.fallback_models
    return gate.cheaper(business.model or settings.model, chain, budget.cheap_model)


def words(step: Step, *, cheaper: object = True) -> tuple[str, str]:
    """A step's name and what it means for customers. ``cheaper``: whether there is a cheaper model to save with."""
    if not cheaper and step is Step.CHEAPER:
        return _("Saving, with the same model"), _("No cheaper model is set, so answers are still made as usual.")
    if not cheaper and step is Step.SHORT:
        return (
            _("Shorter context"),
            _("The model reads less of what was said before. No cheaper model is set."),
        )
    return {
        Step.NORMAL: (_("Normal"), _("Every answer is made as usual.")),
        Step.CHEAPER: (_("Cheaper model"), _("Answers come from the cheaper model.")),
        Step.SHORT: (_("Cheaper model, shorter context"), _("Also, the model reads less of what was said before.")),
        Step.APPROVED_ONLY: (
            _("Approved answers only"),
            _("No model is asked. Approved answers go out; where none fits, a person is called."),
        ),
        Step.HANDOFF: (_("To a person at once"), _("No model is asked. Every question is passed on to a person.")),
    }[step]


def bar(spent: Decimal, limit: Limit) -> Bar | None:
    """None without a limit."""
    whole = limit.hard if limit.hard is not None else limit.soft
    if whole is None:
        return None
    percent = min(100, int(spent * 100 / whole)) if whole else 100
    mark = int(limit.soft * 100 / whole) if limit.soft is not None and whole and limit.hard is not None else None
    reached = limit.soft is not None and spent >= limit.soft
    level = "danger" if limit.hard is not None and spent >= limit.hard else "warning" if reached else "calm"
    return Bar(percent, mark, level)


def page(budget: Budget) -> dict[str, Any]:
    """The context of ``prosa/admin/budget.html``."""
    now = standing(budget.business_id)
    verdict = gate.judge(now)
    rows: list[dict[str, Any]] = [
        dict(row)
        for row in UsageDay.objects.filter(
            business_id=budget.business_id, day__gt=now.day - timedelta(days=DAYS), day__lte=now.day
        )
        .values("day", "model")
        .annotate(
            requests_made=Sum("requests"),
            tokens=Sum("input_tokens") + Sum("output_tokens"),
            money=Sum("cost"),
            unknown=Sum("unpriced_requests"),
        )
        .order_by("day", "model")
    ]
    lines = _lines(rows)
    other = cheaper(budget)
    name, meaning = words(verdict.step, cheaper=other)
    saving = budget.day_soft is not None or budget.conversation_soft is not None or budget.turn_soft is not None
    return {
        "standing": now,
        "step": verdict.step,
        "step_name": name,
        "step_meaning": meaning,
        "level": level(verdict),
        "bar": bar(now.day_spent, now.per_day),
        "others": _others(now, budget.business_id, budget.business.timezone),
        "month": sum((line.cost for line in lines if line.cost is not None), Decimal(0)),
        "lines": lines,
        "unpriced": [line for line in lines if line.unpriced],
        "chart": json.dumps(_chart(rows, lines, now.day)) if any(line.cost for line in lines) else "",
        "chart_options": json.dumps(OPTIONS),
        "days": DAYS,
        "no_cheap_model": saving and not other,
        "counters": counting.of(budget, now.day),
        "business": budget.business,
        "budget_id": str(budget.pk),
    }


def _others(now: Standing, business_id: int, zone: str) -> list[dict[str, Any]]:
    """The limits of a conversation and of an answer, beside what the dearest of today took of them."""
    if now.per_conversation == now.per_turn == Limit():
        return []
    found = dearest(business_id, now.day, zone) or Dearest(Decimal(0), "", Decimal(0))
    rows = (
        (_("Dearest conversation of today"), now.per_conversation, found.conversation, found.url),
        (_("Dearest answer of these conversations"), now.per_turn, found.answer, ""),
    )
    return [
        {"name": name, "limit": limit, "spent": spent, "bar": bar(spent, limit), "url": url}
        for name, limit, spent, url in rows
        if limit != Limit()
    ]


def usage(business_id: int) -> Iterator[tuple[Any, ...]]:
    """The ledger of a business, newest day first, after a row of headings. Cost in US dollars; empty = no known price."""
    names = ("day", "model", "purpose", "requests", "input_tokens", "output_tokens", "cached_tokens", "cost", "unpriced_requests")  # fmt: skip
    yield names
    keys, sums = names[:3], names[3:]
    rows = UsageDay.objects.filter(business_id=business_id).values(*keys)
    rows = rows.annotate(**{f"all_{name}": Sum(name) for name in sums}).order_by("-day", "model", "purpose")
    for row in rows.iterator():
        yield (*(row[name] for name in keys), *(row[f"all_{name}"] for name in sums))


OPTIONS: dict[str, Any] = {
    "animation": False,
    "maintainAspectRatio": False,
    "plugins": {"legend": {"display": False}, "tooltip": {"enabled": True}},
    "scales": {
        "x": {"stacked": True, "grid": {"display": False}, "ticks": {"maxTicksLimit": 8, "maxRotation": 0}},
        "y": {"stacked": True, "beginAtZero": True, "ticks": {"maxTicksLimit": 5}},
    },
}


def notices() -> list[Told]:
    """One per business that reached a limit on its present day, and one per free tier that runs out; empty on a calm day."""
    furthest: dict[int, BudgetNotice] = {}
    for notice in BudgetNotice.objects.filter(day__gte=timezone.now().date() - timedelta(days=1)).select_related(
        "business"
    ):
        if notice.day != datetime.now(zone_named(notice.business.timezone)).date():
            continue
        other = furthest.get(notice.business_id)
        if other is None or gate.ORDER.index(Step(notice.step)) > gate.ORDER.index(Step(other.step)):
            furthest[notice.business_id] = notice
    budgets = {
        row.business_id: row for row in Budget.objects.select_related("business").filter(business_id__in=furthest)
    }
    told = []
    for business_id, notice in sorted(furthest.items()):
        has = cheaper(budgets[business_id]) if business_id in budgets else True
        name, meaning = words(Step(notice.step), cheaper=has)
        if notice.scope != "day":
            meaning = _("For at least one conversation.") + " " + meaning
        url = _address(budgets[business_id].pk) if business_id in budgets else ""
        told.append(Told(str(notice.business), name, meaning, level(Verdict(Step(notice.step))), url))
    return [*told, *(_running_out(*each) for each in counting.warnings())]


def _running_out(whose: str, counter: counting.Count, url: str) -> Told:
    used = _("%(name)s: %(count)d of %(most)d") % {"name": counter.name, "count": counter.count, "most": counter.most}
    over = counter.level == "danger"
    if counter.model:
        meaning = (
            _("Its free tier is used up: answers come from the next model.")
            if over
            else _("Its free tier is nearly used up; then answers come from the next model.")
        )
    else:
        meaning = _("The limit you set is reached.") if over else _("The limit you set is nearly reached.")
    return Told(whose, used, meaning, "warning", url, used)


def _address(budget_id: int) -> str:
    """Of its page; empty in a host project whose admin does without ours."""
    try:
        return reverse("admin:prosa_costs_budget_change", args=[budget_id])
    except NoReverseMatch:
        return ""


def unpriced(since: timedelta) -> list[str]:
    """Models that were asked without a known price and still have none."""
    rows = UsageDay.objects.filter(unpriced_requests__gt=0, day__gte=timezone.now().date() - since)
    return [
        model for model in rows.order_by("model").values_list("model", flat=True).distinct() if not _is_priced(model)
    ]


def money(amount: Decimal) -> str:
    """In the reader's language: two places, or as many as show two digits of a small amount."""
    places = 2 if not amount or abs(amount) >= Decimal("0.1") else min(8, 1 - amount.adjusted())
    return str(number_format(round(amount, places), decimal_pos=places, use_l10n=True, force_grouping=True))


def level(verdict: Verdict) -> str:
    """``calm``, ``warning`` or ``danger``."""
    return {Step.NORMAL: "calm", Step.CHEAPER: "warning", Step.SHORT: "warning"}.get(verdict.step, "danger")


def _lines(rows: list[dict[str, Any]]) -> list[Line]:
    """Per model, dearest first."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["model"]].append(row)
    lines = []
    for model, of_model in found.items():
        priced = [row["money"] for row in of_model if row["money"] is not None]
        unpriced = sum(row["unknown"] for row in of_model)
        lines.append(
            Line(
                model,
                sum(row["requests_made"] for row in of_model),
                sum(row["tokens"] for row in of_model),
                sum(priced, Decimal(0)) if priced else None,
                unpriced,
                bool(unpriced) and _is_priced(model),
                f"{reverse('admin:prosa_costs_modelprice_add')}?pattern={quote(model)}",
            )
        )
    lines.sort(key=lambda line: (-(line.cost or Decimal(0)), line.model))
    return [
        replace(line, colour=COLOURS[min(index, len(COLOURS) - 1)]) if line.cost else line
        for index, line in enumerate(lines)
    ]


def _is_priced(model: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosa_costs_cost(%s, 1, 1, 0, NULL) IS NOT NULL", [model])
        return bool(cursor.fetchone()[0])


def _chart(rows: list[dict[str, Any]], lines: list[Line], today: date) -> dict[str, Any]:
    """Chart.js's stacked bars: a model each, those beyond the colours together."""
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    place = {day: index for index, day in enumerate(days)}
    shown = {line.model: index for index, line in enumerate(line for line in lines if line.cost)}
    last = len(COLOURS) - 1
    sets: dict[int, list[float]] = {}
    names: dict[int, str] = {}
    for row in rows:
        if row["money"] is None or row["model"] not in shown:
            continue
        index = min(shown[row["model"]], last)
        names[index] = _("others") if index == last and len(shown) > last + 1 else row["model"]
        sets.setdefault(index, [0.0] * DAYS)[place[row["day"]]] += float(row["money"])
    return {
        "labels": [date_format(day, "d/m") for day in days],
        "datasets": [
            {
                "label": names[index],
                "data": [round(value, 6) for value in sets[index]],
                "backgroundColor": COLOURS[index],
            }
            for index in sorted(sets)
        ],
    }
