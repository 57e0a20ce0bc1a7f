"""The catalogue's prices (``genai-prices``, no network) in the table that people edit."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone
from genai_prices import Usage, calc_price

from prosa import conf
from prosa.business.models import Business, Specialist
from prosa.costs.models import BY_PERSON, FROM_CATALOGUE, Budget, ModelPrice

OPENAI = ("openai", "openai-chat")
PROVIDERS = {"openai": "openai", "openai-chat": "openai", "google": "google", "anthropic": "anthropic"}


def in_use() -> list[str]:
    """Every model that thinks or embeds and that the settings, a business, a specialist or a budget names, in order of the
    alphabet; ``offline`` is none."""
    settings = conf.settings()
    names = {settings.model, *settings.fallback_models}
    for model, fallbacks in Business.objects.values_list("model", "fallback_models"):
        names |= {model, *(name.strip() for name in fallbacks.split(","))}
    names |= set(Specialist.objects.values_list("model", flat=True))
    names |= set(Budget.objects.values_list("cheap_model", flat=True))
    # One on this machine costs nothing.
    names |= {name for name in [settings.embedding_model] if not name.startswith("local:")}
    return sorted(names - {"", "offline"})


def seed() -> int:
    """Store the catalogue's prices of the models in use; how many rows changed. Safe to repeat.

    What a person entered stays as it is. A catalogue price that changed becomes a new row from today on; one whose model
    the catalogue does not know at its present address (a server of one's own) is removed.
    """
    changed, today = 0, timezone.now().date()
    for name in in_use():
        rows = ModelPrice.objects.filter(pattern=name)
        if rows.filter(source=BY_PERSON).exists():
            continue
        known, last = catalogue(name), rows.order_by("-valid_from").first()
        if known is None:
            changed += rows.delete()[0]
        elif last is None or (last.input, last.output, last.cached) != known:
            values = {"input": known[0], "output": known[1], "cached": known[2], "source": FROM_CATALOGUE}
            # The first one also holds where a clock or a zone is a day behind.
            day: date = today if last else today - timedelta(days=1)
            ModelPrice.objects.update_or_create(pattern=name, valid_from=day, defaults=values)
            changed += 1
    return changed


def catalogue(name: str) -> tuple[Decimal, Decimal, Decimal | None] | None:
    """US dollars per million tokens of input, output and cached input, lowest tier; None when it is not known."""
    provider, _, model = name.partition(":")
    address = conf.settings().openai_base_url if provider in OPENAI else ""
    ours = PROVIDERS.get(provider)
    if ours is None:
        return None
    try:
        found = (
            calc_price(Usage(input_tokens=1), model, provider_api_url=address)
            if address
            else calc_price(Usage(input_tokens=1), model, provider_id=ours)
        )
    except (LookupError, ValueError, AssertionError):
        return None
    price = found.model_price
    given = _base(price.input_mtok)
    if given is None:
        return None
    return given, _base(price.output_mtok) or Decimal(0), _base(price.cache_read_mtok)


def _base(price: object) -> Decimal | None:
    base = getattr(price, "base", price)
    return Decimal(str(base)).quantize(Decimal("0.000001")) if base is not None else None
