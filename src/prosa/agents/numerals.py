"""Numbers in words: Portuguese (Brazil), Spanish and English.

Written here because what is counted bends the words (``duas horas``, ``veintiún euros``), which the packages that
spell numbers do not know. Everything takes whole numbers from 0 to :data:`LARGEST`.
"""

from __future__ import annotations

LARGEST = 10**15 - 1

_UNITS = {
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete "
    "dezoito dezenove",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve",
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
}
_SMALL = {tongue: tuple(words.split()) for tongue, words in _UNITS.items()}
_TENS = {
    "pt": ("", "", "vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa"),
    "es": ("", "", "", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"),
    "en": ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
}
_HUNDREDS = {
    "pt": (
        *("", "cento", "duzentos", "trezentos", "quatrocentos", "quinhentos"),
        *("seiscentos", "setecentos", "oitocentos", "novecentos"),
    ),
    "es": (
        *("", "ciento", "doscientos", "trescientos", "cuatrocientos", "quinientos"),
        *("seiscientos", "setecientos", "ochocientos", "novecientos"),
    ),
}
_ORDINALS = {
    "pt": (
        "",
        *("primeiro", "segundo", "terceiro", "quarto", "quinto", "sexto", "sétimo", "oitavo", "nono"),
    ),
    "es": (
        "",
        *("primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno"),
    ),
}
_ORDINAL_TENS = {
    "pt": (
        *("", "décimo", "vigésimo", "trigésimo", "quadragésimo", "quinquagésimo"),
        *("sexagésimo", "septuagésimo", "octogésimo", "nonagésimo"),
    ),
    "es": (
        *("", "décimo", "vigésimo", "trigésimo", "cuadragésimo", "quincuagésimo"),
        *("sexagésimo", "septuagésimo", "octogésimo", "nonagésimo"),
    ),
}
_ENGLISH_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int, tongue: str, *, feminine: bool = False, counts: bool = False) -> str:
    """``number`` in words. ``feminine``: it counts something feminine; ``counts``: a noun follows (es: *un*, *veintiún*).

    :raises ValueError: it is negative or more than :data:`LARGEST`.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{number} is outside 0..{LARGEST}.\nRead it digit by digit.")
    if number == 0:
        return _SMALL[tongue][0]
    if tongue == "pt":
        return _portuguese(number, feminine=feminine)
    if tongue == "es":
        return _spanish(number, feminine=feminine, counts=counts)
    return _english(number)


def digits(text: str, tongue: str) -> str:
    """The digits 0-9 of ``text`` one by one: ``09`` → ``zero nove``."""
    return " ".join(_SMALL[tongue][int(mark)] for mark in text if mark in "0123456789")


def ordinal(number: int, tongue: str, *, feminine: bool = False) -> str:
    """``number`` as a place in a row, 1 to 99; others as :func:`cardinal`."""
    if not 1 <= number <= 99:
        return cardinal(number, tongue, feminine=feminine)
    if tongue == "en":
        head, mark, last = cardinal(number, "en").rpartition("-")
        return head + mark + _english_ordinal(last)
    words = [part for part in (_ORDINAL_TENS[tongue][number // 10], _ORDINALS[tongue][number % 10]) if part]
    return " ".join(word[:-1] + "a" if feminine else word for word in words)


def _english_ordinal(word: str) -> str:
    return _ENGLISH_ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")


def _groups(number: int, size: int) -> list[tuple[int, int]]:
    """(value, place) of the groups of ``size`` digits that are not zero, the greatest first."""
    found: list[tuple[int, int]] = []
    place = 0
    while number:
        number, value = divmod(number, 10**size)
        if value:
            found.append((value, place))
        place += 1
    return found[::-1]


def _portuguese(number: int, *, feminine: bool) -> str:
    names = (("", ""), ("mil", "mil"), ("milhão", "milhões"), ("bilhão", "bilhões"), ("trilhão", "trilhões"))
    said = ""
    groups = _groups(number, 3)
    for index, (value, place) in enumerate(groups):
        name = names[place][value > 1]
        words = "mil" if (value, place) == (1, 1) else _portuguese_group(value, feminine=feminine and place < 2)
        part = words if words == "mil" else f"{words} {name}".strip()
        # "e" before the last group when it is below a hundred or round: mil e cem, but mil duzentos e trinta.
        last = index == len(groups) - 1
        said += (" e " if last and (value < 100 or value % 100 == 0) else " ") + part if said else part
    return said


def _portuguese_group(value: int, *, feminine: bool) -> str:
    if value == 100:
        return "cem"
    hundreds, rest = divmod(value, 100)
    words = []
    if hundreds:
        word = _HUNDREDS["pt"][hundreds]
        words.append(word[:-2] + "as" if feminine and hundreds > 1 else word)
    if rest >= 20:
        words.append(_TENS["pt"][rest // 10])
        rest %= 10
    if rest:
        word = _SMALL["pt"][rest]
        words.append({"um": "uma", "dois": "duas"}.get(word, word) if feminine else word)
    return " e ".join(words)


def _spanish(number: int, *, feminine: bool, counts: bool) -> str:
    said = []
    for value, place in _groups(number, 6):  # the long scale: un billón is a million millions
        last = place == 0
        thousands, rest = divmod(value, 1000)
        if thousands:
            said.append(
                "mil" if thousands == 1 else f"{_spanish_group(thousands, feminine=feminine and last, counts=True)} mil"
            )
        if rest:
            said.append(_spanish_group(rest, feminine=feminine and last, counts=counts or not last))
        if place:
            name = ("millón", "billón")[place - 1]
            said.append(name if value == 1 else name.replace("ó", "o") + "es")
    return " ".join(said)


def _spanish_group(value: int, *, feminine: bool, counts: bool) -> str:
    if value == 100:
        return "cien"
    hundreds, rest = divmod(value, 100)
    words = []
    if hundreds:
        word = _HUNDREDS["es"][hundreds]
        words.append(word[:-2] + "as" if feminine and hundreds > 1 else word)
    if rest < 30:
        unit = rest
    else:
        words.append(_TENS["es"][rest // 10])
        unit = rest % 10
        if unit:
            words.append("y")
    if unit:
        word = _SMALL["es"][unit]
        if unit in {1, 21} and feminine:
            word = word[:-1] + "a"
        elif unit in {1, 21} and counts:
            word = "un" if unit == 1 else "veintiún"
        words.append(word)
    return " ".join(words)


def _english(number: int) -> str:
    names = ("", "thousand", "million", "billion", "trillion")
    return " ".join(f"{_english_group(value)} {names[place]}".strip() for value, place in _groups(number, 3))


def _english_group(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{_SMALL['en'][hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, unit = divmod(rest, 10)
        words.append(_TENS["en"][tens] + (f"-{_SMALL['en'][unit]}" if unit else ""))
    elif rest:
        words.append(_SMALL["en"][rest])
    return " ".join(words)
