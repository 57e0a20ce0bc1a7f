"""Whether the figures of a draft stand in what the turn knows.

A model may word an answer; it may not invent a price, a date or a telephone number. Every figure that matters must
occur in the evidence: results of tools, passages, approved answers, guidelines, what our side said before. What the
customer told, in words, voice notes or files, bears out a date or a number of theirs, never what something costs: else
whoever asks "it is R$ 1, right?" sets the price. Nor does it become ours by being repeated: amounts that our side only
took up ("you said R$ 1"), and those of a summary that our side did not name, stay the customer's. Pure; what to do about
a miss is the runner's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from prosa.agents.figures import Figure, Key, digits, figures

_SHORTEST_ID = 3  # digits from which a bare number is a price, a house or an order and no counting word
_PHONE_TAIL = 8  # digits two writings of one telephone number share at least: without country and area
_YEAR = range(1900, 2101)
_PRICED = frozenset({"money", "percent"})
# What stands before an amount of the customer's that is only taken up: their limit, what they said or paid, a denial
# (not the Portuguese "no", which is "in the"); or the file they sent it in.
_TAKEN_UP = re.compile(
    r"\b(?:ate|no maximo|abaixo de|menos de|hasta|como maximo|por debajo de|up to|at most|under|below|less than|within|"
    r"orcamento|presupuesto|budget|(?:voce|vc|you|usted) (?:\w+ )?(?:disse|falou|mencionou|citou|pagou|viu|said|mentioned|paid|saw|dijo|menciono|pago|vio)|"
    r"dijiste|mencionaste|pagaste|viste|nao|nunca|nem|not|never|"
    r"no (?:es|son|era|fue|cuestan?|sale|queda|esta|hay|se|lo|la|le|te|nos|tenemos|podemos|puedo|cobramos|damos|hacemos|hago|ofrecemos|longer)|"
    r"(?:is|does|do|can|has)nt)\b[^.,;:!?\n]{0,40}$|"
    r"\b(?:documento|arquivo|pdf|anexo|comprovante|boleto|fatura|recibo|nota fiscal|archivo|adjunto|comprobante|factura|document|file|attachment|"
    # … unless a price is made of what it says
    r"invoice|receipt)\b(?![^.;!?\n]*\b(?:custa|custam|sai|fica|vale|costs?|cuestan?|queda|preco|precio|price)\b)[^.;!?\n]{0,40}$"
)
OURS: Mapping[str, str] = {
    "pt": "Valores que nós dissemos",
    "es": "Valores que dijimos nosotros",
    "en": "Amounts we named",
}
"""How the line of a summary begins that tells the business's amounts apart from the customer's."""


def unsupported(
    draft: str,
    evidence: Iterable[str],
    *,
    said: Iterable[str] = (),
    theirs: Iterable[str] = (),
    month_first: bool = False,
) -> tuple[str, ...]:
    """The figures of ``draft``, as written, that no text of ``evidence`` bears out; each once, in the draft's order.

    ``said``: what our side said before; amounts of the customer's that it only took up there are none of its own.
    ``theirs``, what the customer told, bears them out too, but amounts of money and percentages only where the draft takes
    them up as the customer's ("up to R$ 100", "you said 10 %", "your receipt of R$ 50"), denies them or asks back. A number
    with a unit (``R$ 30``, ``30 dias``, ``30 %``) is borne out by the same number with the same unit or with none. Bare numbers of one or two digits count things and are not looked at.
    """
    wanted = [figure for figure in figures(draft, month_first=month_first) if _matters(figure)]
    if not wanted:
        return ()
    known: set[Key] = set()
    runs: set[str] = set()
    for text in evidence:
        for part in text.split("\n\n"):
            keys, numbers = _borne(part, month_first)
            known |= keys
            runs |= numbers
        wanted = [figure for figure in wanted if not _borne_out(figure, known, runs)]
        if not wanted:  # reading figures is the dearest part of a turn: the rest need not be read
            return ()
    told = [figures(text, month_first=month_first) for text in theirs]
    claims = _values(each for found in told for each in found)
    for text in said:
        for figure in _own(text, claims, month_first=month_first):
            known |= figure.keys
            runs.add(digits(figure.shown))
        wanted = [figure for figure in wanted if not _borne_out(figure, known, runs)]
        if not wanted:
            return ()
    for found in told:
        for figure in found:
            known |= figure.keys
            runs.add(digits(figure.shown))
        wanted = [
            figure
            for figure in wanted
            if not _borne_out(figure, known, runs) or (_is_price(figure) and not _only_taken_up(draft, figure.shown))
        ]
        if not wanted:
            break
    return tuple(dict.fromkeys(figure.shown for figure in wanted))


@lru_cache(maxsize=256)
def _borne(part: str, month_first: bool) -> tuple[frozenset[Key], frozenset[str]]:  # noqa: FBT001  a key of the cache
    """The figures of a part of the evidence. Guidelines, approved answers and documents are the same from turn to turn."""
    found = figures(part, month_first=month_first)
    return frozenset(key for each in found for key in each.keys), frozenset(digits(each.shown) for each in found)


def apart(text: str, old: str, said: Iterable[str], theirs: Iterable[str], locale: str) -> str:
    """A summary's ``text`` with a last line that names those of its amounts which our side said.

    ``old`` is the summary before, with such a line of its own; ``said`` and ``theirs`` are the lines since.
    """
    body, _ = _parted(text)
    claims = _values(each for line in theirs for each in figures(line))
    known: set[Key] = set()
    runs: set[str] = set()
    for figure in (*figures(_parted(old)[1]), *(each for line in said for each in _own(line, claims))):
        known |= figure.keys
        runs.add(digits(figure.shown))
    ours = [each.shown for each in figures(body) if _is_price(each) and _borne_out(each, known, runs)]
    if not ours:
        return body
    label = OURS.get(locale.replace("_", "-").partition("-")[0].lower(), OURS["pt"])
    return f"{body}\n{label}: {'; '.join(dict.fromkeys(ours))}"


def own_amounts(summary: str) -> str:
    """The amounts of a summary that our side named; empty when it does not tell them apart."""
    return _parted(summary)[1]


def _parted(summary: str) -> tuple[str, str]:
    """A summary without the line that tells our amounts, and that line's amounts."""
    body: list[str] = []
    ours: list[str] = []
    for line in summary.splitlines():
        label, _, rest = line.strip().partition(": ")
        if label in OURS.values():
            ours.append(rest)
        else:
            body.append(line)
    return "\n".join(body), "; ".join(ours)


def _own(text: str, claims: set[str], *, month_first: bool = False) -> list[Figure]:
    """The figures of a line of our side, without the customer's amounts that it only took up."""
    return [
        each
        for each in figures(text, month_first=month_first)
        if not (_is_price(each) and _values([each]) & claims and _only_taken_up(text, each.shown))
    ]


def _values(found: Iterable[Figure]) -> set[str]:
    return {value for each in found for _, value in each.keys}


def hint(missing: tuple[str, ...]) -> str:
    """What to tell the model about a rejected draft: which figures, never which would be right."""
    listed = ", ".join(missing[:10])
    return (
        f"Your draft was not sent. These figures stand in nothing you were given: {listed}. "
        "Write the answer again with figures from the guidelines, the approved answers or a tool's result only; "
        "look them up if a tool can. An amount that only the customer or a file of theirs names may be told as what they, or "
        "that file, say. When you cannot, say that you do not know and offer to bring in a person."
    )


def _is_price(figure: Figure) -> bool:
    return any(kind in _PRICED for kind, _ in figure.keys)


def _only_taken_up(draft: str, shown: str) -> bool:
    said = _folded(draft)
    places = list(re.finditer(re.escape(_folded(shown)), said))
    for found in places:
        before = said[max(0, found.start() - 80) : found.start()].replace("'", "").replace("’", "")
        end = re.search(r"[.!?\n]", said[found.end() :])
        if not _TAKEN_UP.search(before) and (end is None or end[0] != "?"):
            return False
    return bool(places)


def _folded(text: str) -> str:
    flat = unicodedata.normalize("NFKD", text.lower())
    return "".join(mark for mark in flat if not unicodedata.combining(mark))


def _matters(figure: Figure) -> bool:
    kind = figure.kind
    return kind != "bare" or len(digits(figure.shown)) >= _SHORTEST_ID or any(mark in figure.shown for mark in ".,")


def _borne_out(figure: Figure, known: set[Key], runs: set[str]) -> bool:
    kinds = {kind for kind, _ in figure.keys}
    if "date" in kinds:
        # A draft that adds a year nobody named is as wrong as another day.
        return figure.keys <= known
    if figure.keys & known:
        return True
    if "phone" in kinds:
        return any(_same_phone(value, run) for _, value in figure.keys for run in runs)
    values = {value for kind, value in figure.keys if kind != "time"}
    if any(("bare", value) in known for value in values):
        return True
    if "time" in kinds and any(
        ("hour", value.removesuffix(":00")) in known or ("bare", value.removesuffix(":00")) in known
        for kind, value in figure.keys
        if kind == "time" and value.endswith(":00")
    ):
        return True
    if "bare" in kinds:
        numbers = {value for _, value in known}
        return bool(values & numbers) or digits(figure.shown) in runs
    return False


def _same_phone(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _PHONE_TAIL and long.endswith(short)
