"""Hiding secrets and personal data in text that leaves the database: log lines, error reports, prompts by setting.

Hidden are CPF and CNPJ (also the alphanumeric CNPJ of 2026), card numbers (Luhn), e-mail addresses, phone numbers, tokens and
whatever follows a name such as ``password=``. When in doubt a number is hidden: a log can do without it.
All patterns are bounded, so the work is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SECRET, EMAIL, CPF, CNPJ, CARD, PHONE = "[secret]", "[email]", "[cpf]", "[cnpj]", "[card]", "[phone]"

_NAMES = r"(?:[a-z0-9]{1,30}[_-]){0,4}(?:api[_-]?key|apikey|token|secret|password|passwd|senha|authorization|signature|cookie|sessionid|credentials)"
_SECRET_NAME = re.compile(rf"\A{_NAMES}\Z", re.IGNORECASE)

# The user and password of a URL, "Bearer …", name=value, then tokens known by their shape.
_SECRETS = re.compile(
    r"(?P<url>://[^\s/@:]{0,200}:)[^\s/@]{1,400}(?=@)"
    r"|(?P<scheme>\b(?:bearer|basic|token)\s{1,3})[A-Za-z0-9._~+/=-]{8,4000}"
    rf"|(?P<name>(?<![A-Za-z0-9_-]){_NAMES}[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?)(?!\[secret\])(?:(?:bearer|basic)\s{{1,3}})?[^\s\"',;&}}\]]{{3,4000}}"
    r"|(?<![A-Za-z0-9_-])(?:sk|rk|pk)-[A-Za-z0-9_-]{16,400}"
    r"|(?<![A-Za-z0-9_-])(?:EAA[A-Za-z0-9]{20,800}|AIza[A-Za-z0-9_-]{30,60}|gh[pousr]_[A-Za-z0-9]{20,300}|xox[abprs]-[A-Za-z0-9-]{10,300}|prosa_[A-Za-z0-9_-]{20,100})"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,4000}\.[A-Za-z0-9_-]{5,8000}\.[A-Za-z0-9_-]{0,2000}",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_CNPJ = re.compile(
    r"(?<![A-Za-z0-9])[A-Z0-9]{2}\.?[A-Z0-9]{3}\.?[A-Z0-9]{3}/?[A-Z0-9]{4}-?[0-9]{2}(?![A-Za-z0-9])", re.IGNORECASE
)
_CPF = re.compile(r"(?<![A-Za-z0-9])\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?![A-Za-z0-9])")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.+-])(?:\+\s?)?\(?\d[\d ()-]{6,28}\d(?![A-Za-z0-9_])")
_DATE = re.compile(r"\A\d{4}-\d\d-\d\d")
_COUNTRIES = ("55", "54", "52", "56", "57", "51", "58", "59", "50", "53")


def redact(text: str) -> str:
    """``text`` with every secret and personal datum replaced by its kind in brackets. Redacting twice changes nothing more."""
    text = _SECRETS.sub(_hide_secret, text)
    text = _EMAIL.sub(EMAIL, text)
    text = _CNPJ.sub(_hide_cnpj, text)
    text = _CPF.sub(_hide_cpf, text)
    return _NUMBER.sub(_hide_number, text)


def redact_data(value: Any) -> Any:
    """Plain data (mappings, lists, strings) redacted in depth; what stands under a secret's name is hidden whole."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: SECRET if secret_name(str(key)) and item else redact_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_data(item) for item in value]
    return value


def secret_name(name: str) -> bool:
    """Is this the name of something secret (``access_token``, ``X-API-Key``)?"""
    return len(name) <= 150 and _SECRET_NAME.match(name) is not None


def _hide_secret(match: re.Match[str]) -> str:
    return f"{match['url'] or match['scheme'] or match['name'] or ''}{SECRET}"


def _hide_cnpj(match: re.Match[str]) -> str:
    return CNPJ if _is_cnpj(re.sub(r"[./-]", "", match[0])) else match[0]


def _hide_cpf(match: re.Match[str]) -> str:
    digits = re.sub(r"[.-]", "", match[0])
    # Written with its marks it is meant as one, valid or not.
    return CPF if "." in match[0] or _is_cpf(digits) else match[0]


def _hide_number(match: re.Match[str]) -> str:
    whole = match[0]
    digits = re.sub(r"\D", "", whole)
    if 13 <= len(digits) <= 19 and _luhn(digits):
        return CARD
    if not 8 <= len(digits) <= 15 or _DATE.match(whole):
        return whole
    written = whole.startswith("+") or "(" in whole or " " in whole or "-" in whole
    mobile = len(digits) == 11 and digits[2] == "9"
    international = 11 <= len(digits) <= 13 and digits.startswith(_COUNTRIES)
    return PHONE if written or mobile or international else whole


def _is_cpf(digits: str) -> bool:
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        check = sum(int(digit) * (length + 1 - place) for place, digit in enumerate(digits[:length])) * 10 % 11 % 10
        if check != int(digits[length]):
            return False
    return True


def _is_cnpj(text: str) -> bool:
    """Receita Federal's rule since 2026: a character counts its ASCII code less 48; weights 2 to 9 from the right."""
    values = [ord(character) - 48 for character in text.upper()]
    if len(values) != 14 or len(set(values)) == 1:
        return False
    for length in (12, 13):
        check = sum(value * (2 + place % 8) for place, value in enumerate(reversed(values[:length]))) % 11
        if (0 if check < 2 else 11 - check) != values[length]:
            return False
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1
