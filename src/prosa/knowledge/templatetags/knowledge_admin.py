"""What the pages about knowledge need of their templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def of(mapping: Mapping[str, Any], key: str) -> Any:
    """The value of a key, None without one."""
    return mapping.get(key)
