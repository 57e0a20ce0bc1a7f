"""Phone numbers as identities: which spellings are the same person.

WhatsApp names people by numbers that changed shape over the years. A Brazilian mobile is reported with or without
its ninth digit, a Mexican one with or without the ``1`` after the country code, an Argentine one with or without the
``9``. We match by one canonical form and send to the address the provider gave (``Identity.address``).

The canonical form is the number without ``+``, and

- Brazil: *with* the ninth digit, as every mobile is dialled since 2016;
- Mexico: *without* the ``1``, abolished in 2019;
- Argentina: *without* the ``9``. Landlines and mobiles of one area share a numbering plan, so that dropping the mark
  never makes two lines equal, and people write their number without it.
"""

from __future__ import annotations

import re

_NOT_DIGITS = re.compile(r"[^0-9]+")


def canonical(raw: str) -> str:
    """The digits by which a number is matched; empty when there are none. Pure string work, for the hot path.

    Nothing is validated: what is not a phone number stays what it is, minus its non-digits.
    """
    digits = raw if raw.isdigit() and raw.isascii() else _NOT_DIGITS.sub("", raw)
    if digits[:1] == "0":
        digits = digits.lstrip("0")
    length = len(digits)
    if length == 12:
        if digits[:2] == "55" and digits[4] in "6789" and "0" not in digits[2:4]:
            return f"{digits[:4]}9{digits[4:]}"
    elif length == 13 and digits[:3] in ("521", "549"):
        return digits[:2] + digits[3:]
    return digits


def variants(raw: str) -> tuple[str, ...]:
    """Every spelling a provider may use for this number, the canonical one first."""
    number = canonical(raw)
    if len(number) == 13 and number[:2] == "55" and number[4] == "9" and number[5] in "6789" and "0" not in number[2:4]:
        return number, number[:4] + number[5:]
    if len(number) == 12 and number[:2] == "52":
        return number, f"521{number[2:]}"
    if len(number) == 12 and number[:2] == "54":
        return number, f"549{number[2:]}"
    return (number,)


def same(one: str, other: str) -> bool:
    """Do both name the same line? Two empty numbers name none."""
    number = canonical(one)
    return bool(number) and number == canonical(other)


def parse(text: str, region: str = "") -> str | None:
    """What a person typed, as a canonical number; None when it is none.

    ``region`` (ISO 3166, ``"BR"``) is assumed for numbers written without a country code. Slow: for forms and imports.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return canonical(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def pretty(number: str) -> str:
    """A number for people to read, in the international style of its country: ``+55 11 98765-4321``."""
    import phonenumbers

    digits = canonical(number)
    if not digits:
        return ""
    try:
        parsed = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return f"+{digits}"
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
