"""The figures of a text that matter: prices, percentages, times, dates, quantities, telephone and order numbers.

Read in Portuguese, Spanish and English, and brought to one form: ``R$ 1.234,56`` and ``1234.56`` are the same number,
``10h`` and ``10:00`` the same time, ``15/03`` and ``15 de março`` the same day.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

Key = tuple[str, str]
"""(kind, canonical value), such as ``("money", "1234.56")`` or ``("date", "3-15")``."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: as it was written, and every reading of it (``1.500`` may be fifteen hundred or one and a half)."""

    shown: str
    keys: frozenset[Key]

    @property
    def kind(self) -> str:
        """``money``, ``percent``, ``time``, ``date``, ``phone``, ``bare`` or a unit such as ``day``."""
        return min(self.keys)[0]


_NUMBER = r"\d{1,3}(?:[.,' \u00a0\u202f]\d{3}){1,6}(?:[.,]\d{1,2})?(?![\d])|\d+(?:[.,]\d+)?"
_MONEY_BEFORE = r"(?:r\$|us\$|u\$s|\$|€|£|brl|usd|eur)"
_MONEY_AFTER = r"(?:reais|real|brl|euros?|eur|€|dolar(?:es)?|dollars?|usd|pesos?|libras?|pounds?|centavos?|cents)"
_UNITS = {
    "day": "dias? days? diarias?",
    "week": "semanas? weeks?",
    "month": "mes meses months?",
    "year": "anos? years? yrs?",
    "hour": "h hs hrs? horas? hours?",
    "minute": "min mins minutos? minutes?",
    "second": "segundos? seconds?",
    "kg": "kgs? quilos? kilos? kilogram(?:as?|os?|s)?",
    "g": "g gr gramas? gramos? grams?",
    "mg": "mg",
    "ml": "ml",
    "l": "l litros? lit(?:er|re)s?",
    "mm": "mm",
    "cm": "cm",
    "m": "m metros? met(?:er|re)s?",
    "m2": "m2",
    "km": "km quilometros? kilometros? kilomet(?:er|re)s?",
    "times": "x vezes veces times parcelas? cuotas? instal?lments? mensalidades?",
    "piece": "unidades? unidad pecas? piezas? units? pieces? pcs itens items? caixas? cajas? boxes?",
    "person": "pessoas? personas? persons? people lugares",
}
_UNIT = "|".join(f"(?P<u_{kind}>{words.replace(' ', '|')})" for kind, words in _UNITS.items())
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janeiro enero january jan ene", "fevereiro febrero february fev feb", "marco marzo march mar",
            "abril april abr apr", "maio mayo may mai", "junho junio june jun", "julho julio july jul",
            "agosto august ago aug", "setembro septiembre setiembre september set sep sept",
            "outubro octubre october out oct", "novembro noviembre november nov",
            "dezembro diciembre december dez dic dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))

_ITEM = re.compile(
    r"(?m)^[ \t]*(?:[-*•][ \t]+)?(?:\*\*)?\d{1,2}(?:[.)]|\ufe0f?\u20e3| ?[-–](?![ \t*]*\d))(?:\*\*)?[ \t]+"
)
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)")
_SLASHED = re.compile(
    r"(?<![\d/])(\d{1,2})([/.])(\d{1,2})(?:\2(\d{4}|\d{2}))(?![\d/])|(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])"
)
_DAY_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:º|o|st|nd|rd|th)?(?: +(?:de|of))? +({_MONTH})\b\.?(?:(?:,| de| del)? +(\d{{4}})\b)?"
)
_MONTH_DAY = re.compile(rf"\b({_MONTH})\.? +(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,? +(\d{{4}})\b)?")
_TIME = re.compile(
    r"\b(?P<hour>[01]?\d|2[0-4])(?:(?::|h)(?P<minute>[0-5]\d)(?::[0-5]\d)?(?: ?(?:hs?|hrs|horas))?(?: ?(?P<half>[ap])\.?m\b\.?)?"
    r"| ?(?P<half2>[ap])\.?m\b\.?)(?!\d)"
)
_PHONE = re.compile(r"(?<![\w.,$€£])\+?\(?\d{1,4}\)?(?:[ .-]?\(?\d{2,5}\)?){2,5}(?!\w)")
_MEASURED = re.compile(
    rf"(?P<money>{_MONEY_BEFORE})? ?(?<![\d])(?P<number>{_NUMBER})"
    rf"(?:(?P<percent> ?%| por ?cento\b| por ?ciento\b| per ?cent\b)|(?P<coin> ?{_MONEY_AFTER}(?!\w))|[ -]?(?:{_UNIT})(?!\w))?"
)
_RANGE = re.compile(rf"(?<!\d)({_NUMBER})(?: ?(?:-|–|—|/) ?| (?:a|as|ate|ou|o|to|or|e|y|and) )(?={_NUMBER})")

_SMALL = {
    word: value
    for value, words in {
        2: "dois duas dos two", 3: "tres three", 4: "quatro cuatro four", 5: "cinco five", 6: "seis six",
        7: "sete siete seven", 8: "oito ocho eight", 9: "nove nueve nine", 10: "dez diez ten", 11: "onze once eleven",
        12: "doze doce twelve", 13: "treze trece thirteen", 14: "quatorze catorze catorce fourteen",
        15: "quinze quince fifteen", 16: "dezesseis dieciseis sixteen", 17: "dezessete diecisiete seventeen",
        18: "dezoito dieciocho eighteen", 19: "dezenove diecinueve nineteen", 20: "vinte veinte twenty",
        30: "trinta treinta thirty", 40: "quarenta cuarenta forty", 50: "cinquenta cincuenta fifty",
        60: "sessenta sesenta sixty", 70: "setenta seventy", 80: "oitenta ochenta eighty",
        90: "noventa ninety", 100: "cem cien hundred",
    }.items()
    for word in words.split()
}  # fmt: skip
_WORD = "|".join(sorted(_SMALL, key=len, reverse=True))
_ALL_UNITS = "|".join(word for words in _UNITS.values() for word in words.split() if len(word) > 2)
_SPELT = re.compile(
    rf"\b({_WORD})(?:(?: e | y |-| )({_WORD}))?(?= (?:{_MONEY_AFTER}|por ?cento|por ?ciento|per ?cent|{_ALL_UNITS})\b)"
)


def figures(text: str, *, month_first: bool = False) -> list[Figure]:
    """Every figure of a text, in no particular order. ``month_first``: 03/04 is the fourth of March."""
    left = _folded(text)
    found: list[Figure] = []

    def take(figure: Figure | None, match: re.Match[str]) -> str:
        if figure is None:
            return match.group()
        found.append(figure)
        return " \x00 "

    left = _ITEM.sub(" ", left)
    left = _SPELT.sub(lambda match: str(_spelt(match)), left)
    left = _ISO.sub(lambda match: take(_date(match[0], match[1], match[2], match[3]), match), left)
    left = _SLASHED.sub(lambda match: take(_slashed(match, month_first=month_first), match), left)
    left = _DAY_MONTH.sub(
        lambda match: take(_date(match[0], match[3] or "", str(_MONTHS[match[2]]), match[1]), match), left
    )
    left = _MONTH_DAY.sub(
        lambda match: take(_date(match[0], match[3] or "", str(_MONTHS[match[1]]), match[2]), match), left
    )
    left = _PHONE.sub(lambda match: take(_phone(match), match), left)
    left = _TIME.sub(lambda match: take(_time(match), match), left)
    found.extend(_shared_units(left))
    found.extend(_measured(match) for match in _MEASURED.finditer(left))
    return found


def digits(text: str) -> str:
    """Only the digits of a text."""
    return re.sub(r"\D", "", text)


def _folded(text: str) -> str:
    """Lower case without accents, every digit an ASCII one, odd spaces plain. ``º`` and ``²`` stay apart from digits."""
    lowered = text.lower().replace("º", "o").replace("ª", "a").replace("²", "2")
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(mark))
    plain = "".join(str(unicodedata.digit(mark)) if mark.isdigit() and not mark.isascii() else mark for mark in plain)
    return re.sub(r"[ \t\u00a0\u202f*_~`]+", " ", plain)


def _spelt(match: re.Match[str]) -> int:
    first, second = _SMALL[match[1]], _SMALL[match[2]] if match[2] else 0
    return first + second


def _slashed(match: re.Match[str], *, month_first: bool) -> Figure | None:
    first, second = (match[1], match[3]) if match[1] else (match[5], match[6])
    day, month = (second, first) if month_first else (first, second)
    if int(month) > 12:
        day, month = month, day
    return _date(match[0], match[4] or "", month, day)


def _date(shown: str, year: str, month: str, day: str) -> Figure | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    keys = {("date", f"{int(month)}-{int(day)}")}
    if year:
        keys.add(("year", str(int(year) + (2000 if len(year) == 2 else 0))))
    return Figure(shown.strip(), frozenset(keys))


def _time(match: re.Match[str]) -> Figure:
    hour, half = int(match["hour"]), match["half"] or match["half2"]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    minute = int(match["minute"] or 0)
    return Figure(match[0].strip(" ."), frozenset({("time", f"{hour % 24}:{minute:02}")}))


def _phone(match: re.Match[str]) -> Figure | None:
    number = digits(match[0])
    grouped = re.fullmatch(r"\d{1,3}(?:[ .]\d{3})+", match[0].strip())
    decimal = not match[0].isdigit() and re.fullmatch(_NUMBER, match[0].strip())
    if not 8 <= len(number) <= 15 or decimal or (grouped and len(number) <= 9):
        return None
    return Figure(match[0].strip(), frozenset({("phone", number)}))


def _shared_units(text: str) -> Iterator[Figure]:
    """The first number of ``5 a 7 dias``, ``9-18h``, ``R$ 10 ou 20``: it has the unit of the second."""
    for match in _RANGE.finditer(text):
        second = _MEASURED.match(text, match.end())
        if second is not None:
            kind = _kind(second)
            if kind != "bare":
                yield _made(match[1], kind, f"{match[1]} {second[0].strip()}")


def _measured(match: re.Match[str]) -> Figure:
    return _made(match["number"], _kind(match), match[0].strip())


def _kind(match: re.Match[str]) -> str:
    if match["money"] or match["coin"]:
        return "money"
    if match["percent"]:
        return "percent"
    return next((kind for kind in _UNITS if match[f"u_{kind}"]), "bare")


def _made(number: str, kind: str, shown: str) -> Figure:
    keys = {(kind, value) for value in _values(number)}
    if kind == "hour" and number.isdigit() and int(number) <= 24:
        keys.add(("time", f"{int(number) % 24}:00"))
    return Figure(shown, frozenset(keys))


def _values(number: str) -> set[str]:
    """Every value the writing of a number can have: the comma and the point change places between languages."""
    packed = re.sub(r"[' \u00a0\u202f]", "", number)
    marks = [mark for mark in packed if mark in ".,"]
    if len(set(marks)) == 2:  # both: the last one is the decimal mark
        last = max(packed.rfind("."), packed.rfind(","))
        return {_canonical(f"{digits(packed[:last])}.{packed[last + 1 :]}")}
    if len(marks) > 1:
        return {_canonical(digits(packed))}
    if not marks:
        return {_canonical(packed)}
    whole, part = re.split(r"[.,]", packed)
    values = {_canonical(f"{whole}.{part}")}
    if len(part) == 3 and whole.lstrip("0"):
        values.add(_canonical(whole + part))
    return values


def _canonical(number: str) -> str:
    try:
        value = Decimal(number)
    except InvalidOperation:
        return number
    return f"{value.normalize():f}" if value else "0"
