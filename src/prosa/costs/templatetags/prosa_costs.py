"""Money in the reader's language."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from prosa.costs import spending

register = template.Library()


@register.filter
def money(amount: Decimal) -> str:
    """``1234.5`` as ``1,234.50`` or ``1.234,50``; small amounts with as many places as they need."""
    return spending.money(amount)


@register.filter
def grouped(count: int) -> str:
    """``1234567`` as ``1,234,567`` or ``1.234.567``."""
    return str(number_format(count, use_l10n=True, force_grouping=True))
