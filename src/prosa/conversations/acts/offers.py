"""Tools that plug-ins and the house's own apps register (``hookspecs.tools``), made for one conversation.

What cannot be used is left out here and told by ``prosa doctor``: a customer never pays for a plug-in's mistake.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any

import jsonschema_rs
from django.utils.translation import gettext as _

from prosa.contracts import IDENTITY_LEVELS, Caller, Finding, Tool, ToolOffer
from prosa.conversations.acts import readings
from prosa.plugins import manager

log = logging.getLogger(__name__)

RISKS = ("read", "write", "destructive")
WHO = frozenset({"business_id", "customer_id", "contact_id", "conversation_id", "user_id"})
"""Arguments a model may never fill in: the tool knows them from its ``Caller``."""
_SAME = sorted({field.name for field in fields(Tool)} & {field.name for field in fields(ToolOffer)})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}")


@lru_cache(maxsize=1)
def offered() -> tuple[tuple[ToolOffer, ...], tuple[str, ...]]:
    """What may be used, in the order of registration, and what is wrong with the rest. Read once a process."""
    good: dict[str, ToolOffer] = {}
    problems: list[str] = []
    for offer in _registered(problems):
        wrong = problem(offer) or (_("there is one of this name already") if offer.name in good else "")
        if wrong:
            problems.append(f"{getattr(offer, 'name', offer)!s}: {wrong}"[:300])
        else:
            good[offer.name] = offer
    for each in problems:
        log.error("A tool of a plug-in is left out (%s).", each)
    return tuple(good.values()), tuple(problems)


def _registered(problems: list[str]) -> Iterable[Any]:
    hook = manager().hook.tools
    for each in hook.get_hookimpls():
        try:
            found: Any = each.function()
            yield from found
        except Exception as error:  # noqa: BLE001  a plug-in that fails takes no other with it
            problems.append(f"{each.plugin_name}: {type(error).__name__}: {error}"[:300])


def problem(offer: Any) -> str:
    """Why this may not be offered to a model; empty when it may."""
    if not isinstance(offer, ToolOffer):
        return _("this is not a prosa.contracts.ToolOffer")
    if not _NAME.fullmatch(offer.name):
        return _("a name has letters, digits and _ and begins with a letter")
    if not offer.description.strip():
        return _("without a description no model knows when to call it")
    if offer.risk not in RISKS or offer.identity not in IDENTITY_LEVELS:
        return _("its risk or its identity level does not exist")
    if offer.schema.get("type") != "object":
        return _("its schema must be of type object")
    try:
        jsonschema_rs.validator_for(offer.schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        return _("its schema is wrong: %s") % str(error).partition("\n")[0]
    named = WHO & set(offer.schema.get("properties", ()))
    return _("a model may not say who the customer is (%s): take it from the Caller") % min(named) if named else ""


def made(caller: Caller) -> list[tuple[ToolOffer, Tool]]:
    """Each tool there is for this caller, with the offer it comes from."""
    found = []
    for offer in offered()[0]:
        try:
            run = offer.make(caller)
        except Exception:
            log.exception("The tool %s could not be made; it is left out of this turn.", offer.name)
            continue
        if run is not None:
            found.append(
                (
                    offer,
                    Tool(
                        run=readings.remembering(offer, caller, run), **{name: getattr(offer, name) for name in _SAME}
                    ),
                )
            )
    return found


def findings() -> list[Finding]:
    """For ``prosa doctor``."""
    fix = _("Mend the plug-in, or uninstall it, and start the workers again.")
    return [Finding("error", _("tools"), each, fix) for each in offered()[1]]
