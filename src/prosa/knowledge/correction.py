"""A question with its mistyped words as the business spells them, for models that read whole sentences.

Searching by words finds what was mistyped by its grams and by words one slip of the finger away; a model that reads sentences takes
``pritner`` for something else. Only what is clearly mistyped is touched: a word of letters that the business's texts do not
have, one slip away from one they do, in a question most of whose words they know. Numbers, codes, addresses and names stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from prosa.knowledge import analysis, ranking
from prosa.knowledge.language import COMMON
from prosa.knowledge.words import EMPTY
from prosa.postgres.connections import Connection

FEWEST_LETTERS = 5
"""Of a word that is corrected: too many words are one slip away from a shorter one, and most of them are right as they are."""
SWAPPED = 3.0
"""How much likelier two letters that changed places are than a letter that was lost, added or wrong."""
ANOTHER_START = 0.3
"""How much less likely it is that a word was begun with the wrong letter."""
CLEARLY = 3.0
"""How much likelier the right word must be than what is written. On the sets of ``benchmarks/search_sets`` it leaves two of a hundred slips
as they are, and half of the words that are another form of a known one, or a word this business has not used."""

_PART = re.compile(r"\S+")
_TOKEN = re.compile(r"\w+")
_CODE = re.compile(r"[\d@_/\\]|\w[.:]\w")
_BEGINNING = re.compile(r"(?:^|[.!?…\n])[\s\"'«“‘¡¿([]*$")
"""What stands before a sentence's first word."""


async def corrected(connection: Connection, business_id: int, text: str, asked: ranking.Question | None) -> str:
    """``text`` with its mistyped words corrected, its other words, accents, case and marks as they are.

    ``asked``: the same text weighed. One query, none when no word of the question looks mistyped.
    """
    wrong = candidates(asked)
    if asked is None or not (found := set(wrong).intersection(analysis.fold(each[0]) for each in _open(text))):
        return text
    salt = analysis.salted(business_id)
    # A known word with a letter more at its end is another form of it ("closest"), at its beginning often a name ("zstandard").
    near = {
        word: [
            each
            for each, term in analysis.slips(word).items()
            if term ^ salt in wrong[word] and each not in (word[1:], word[:-1])
        ]
        for word in sorted(found)
    }
    grams = {
        number ^ salt for word, some in near.items() for each in (word, *some) for number in analysis.numbers(each)
    }
    known, _ = await ranking.count(connection, business_id, list(grams))
    counts = {number ^ salt: count for number, count in known.items()}
    meant = {word: right for word, some in near.items() if (right := _likeliest(word, some, counts))}
    return _spelled(text, meant)


def candidates(asked: ranking.Question | None) -> dict[str, set[int]]:
    """The folded words of a question that may be mistyped, and the stems they may have meant."""
    # A question most of whose words are unknown is about something else, or in another language.
    if asked is None or asked.unknown * 2 > len(asked.words):
        return {}
    return {
        word: set(near) for word, near in asked.mistyped.items() if len(word) >= FEWEST_LETTERS and word not in COMMON
    }


def _likeliest(word: str, near: list[str], counts: Mapping[int, int]) -> str:
    """The one that most chunks have; empty when none is clearly likelier than what is ``word``.

    The vocabulary knows words by their stems, and letters by fours: a chunk that has a word has all of these, so the rarest of
    them says how often it can be there. Fours of letters of an unknown word that are all usual here speak for the word.
    """

    def likelihood(each: str) -> float:
        count = min(counts.get(number, 0) for number in analysis.numbers(each))
        swapped = len(each) == len(word) and sorted(each) == sorted(word)
        return count * (SWAPPED if swapped else 1.0) * (1.0 if each[0] == word[0] else ANOTHER_START)

    best = max(near, key=lambda each: (likelihood(each), each), default="")
    as_it_is = min(counts.get(number, 0) for number in analysis.numbers(word)[1:])
    return best if best and likelihood(best) > CLEARLY * as_it_is else ""


def _open(text: str) -> Iterator[re.Match[str]]:
    """The words of a question that may be corrected: those that are no part of a code or an address, and no names."""
    plain = _capitals_tell_nothing(text)
    for part in _PART.finditer(text):
        if _CODE.search(part[0]):
            continue
        for token in _TOKEN.finditer(text, part.start(), part.end()):
            word = token[0]
            within = word[1:] != word[1:].lower()
            name = within or (word != word.lower() and not _BEGINNING.search(text, 0, token.start()))
            if plain or not name:
                yield token


def _capitals_tell_nothing(text: str) -> bool:
    """Whether a question is all in capitals, or written as titles are: every word that carries its topic."""
    told = [word for word in _TOKEN.findall(text) if len(word) > 3 and analysis.fold(word) not in EMPTY]
    return len(told) >= 2 and all(word != word.lower() for word in told)


def _spelled(text: str, meant: Mapping[str, str]) -> str:
    out, at = [], 0
    for token in _open(text):
        right = meant.get(analysis.fold(token[0]))
        if right:
            out += [text[at : token.start()], _put_right(token[0], right)]
            at = token.end()
    return "".join([*out, text[at:]])


def _put_right(word: str, right: str) -> str:
    """The slip alone is changed, so that accents and capitals elsewhere in the word stay."""
    folded = analysis.fold(word)
    if len(folded) != len(word):
        return right
    most = min(len(folded), len(right))
    before = next((at for at in range(most) if folded[at] != right[at]), most)
    after = next((at for at in range(most - before) if folded[-1 - at] != right[-1 - at]), most - before)
    middle = right[before : len(right) - after]
    put = word[:before] + (middle.upper() if word.isupper() else middle) + word[len(word) - after :]
    return put[0].upper() + put[1:] if word[0].isupper() else put
