"""What of a text is looked for: light stems of its words and their character 4-grams, as numbers.

One analysis serves Portuguese, Spanish and English at once, because a customer's language is known only by what they
write. Accents and case are folded, so that writing without them costs nothing. Grams find what was mistyped; stems say
which of those it is. A term is a 32-bit number (CRC of its letters): an ``integer[]`` with a GIN index holds a chunk.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

from prosa.knowledge.language import language
from prosa.knowledge.words import BEFORE_NAMES, CHATTY, EMPTY, ENGLISH, NUMBERED, SOUNDS, SPELLINGS, SPELLINGS_IN

GRAM = 4
MOST_WORDS = 32
"""Words of a question that are looked at; the rest of a long letter adds nothing."""
MOST_LETTERS = 40
"""Of one word: what is longer is an address or a code, and its beginning tells it."""

_WORD = re.compile(r"[a-z0-9]+")
_TOKEN = re.compile(r"\w+")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_SIGN = 1 << 31
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

# Endings of three languages, folded. The longest that fits is stripped, once per group, while three letters stay.
_PLURALS = (
    ("aciones", "ac"), ("iciones", "ic"), ("uciones", "uc"), ("ciones", "c"), ("siones", "s"), ("acoes", "ac"), ("icoes", "ic"),
    ("ucoes", "uc"), ("coes", "c"), ("soes", "s"), ("oes", "ao"), ("aes", "ao"), ("ations", "ac"), ("tions", "c"), ("sions", "s"),
    ("acion", "ac"), ("icion", "ic"), ("cion", "c"), ("sion", "s"), ("acao", "ac"), ("icao", "ic"), ("ucao", "uc"), ("cao", "c"),
    ("sao", "s"), ("ation", "ac"), ("tion", "c"), ("ices", "iz"), ("ies", "y"), ("ais", "al"), ("eis", "el"), ("ois", "ol"),
    ("res", "r"), ("zes", "z"), ("ces", "z"), ("les", "l"), ("ns", "m"), ("ss", "ss"), ("us", "us"), ("is", "i"), ("s", ""),
)  # fmt: skip
_ENDINGS = (
    "amientos", "imientos", "amiento", "imiento", "amentos", "imentos", "amento", "imento", "mente", "idade", "idad",
    "ariamos", "eriamos", "avamos", "assem", "essem", "aremos", "eremos", "iremos", "arian", "ariam", "aban", "avam", "aron",
    "ieron", "aram", "eram", "iram", "aria", "eria", "iria", "iendo", "ando", "endo", "indo", "amos", "emos", "imos", "ados",
    "idos", "adas", "idas", "ado", "ido", "ada", "ida", "aba", "ava", "ment", "ing", "ed", "ly", "ei", "ou", "ar", "er", "ir",
    "am", "em", "an", "en", "ia", "io",
)  # fmt: skip
_PLURAL, _ENDING = dict(_PLURALS), frozenset(_ENDINGS)


def _sizes(endings: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """By the last letter how long endings with it are, longest first: five hundred stems are made for an unknown word."""
    found: dict[str, set[int]] = {}
    for ending in endings:
        found.setdefault(ending[-1], set()).add(len(ending))
    return {letter: tuple(sorted(sizes, reverse=True)) for letter, sizes in found.items()}


_PLURAL_SIZES, _ENDING_SIZES = _sizes(_PLURAL), _sizes(_ENDING)


def fold(text: str) -> str:
    """Lower case without accents: ``"AÇÃO"`` → ``"acao"``. The database's ``prosa_fold`` does the same to what is stored."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))


def stem(word: str) -> str:
    """A folded word without the endings of number, gender, person and tense that the three languages add."""
    if len(word) < 4 or not word.isalpha():
        return word
    for size in _PLURAL_SIZES.get(word[-1], ()):
        instead = _PLURAL.get(word[-size:])
        if instead is not None and len(word) - size >= 2 and len(word) - size + len(instead) >= 3:
            word = word[:-size] + instead
            break
    for size in _ENDING_SIZES.get(word[-1], ()):
        if size <= len(word) - 3 and word[-size:] in _ENDING:
            word = word[:-size]
            break
    if len(word) > 3 and word[-1] in "aeoy":
        word = word[:-1]
    # Spelling that changes with the ending: fico/fique, pago/pague, comeco/comece.
    if word.endswith(("qu", "gu")) and len(word) > 3:
        word = word[:-2] + {"q": "c", "g": "g"}[word[-2]]
    return word


@lru_cache(maxsize=200_000)
def numbers(word: str) -> tuple[int, ...]:
    """The terms of one folded word: its stem first, then its 4-grams, each once, with the word's edges marked.

    Digits and words of fewer than four letters have no grams: all their letters matter.
    """
    word = word[:MOST_LETTERS]
    whole = crc32(f"={stem(word)}".encode()) - _SIGN
    if len(word) < GRAM or word.isdecimal():
        return (whole,)
    edged = f"_{word}_"
    grams = dict.fromkeys(edged[at : at + GRAM] for at in range(len(edged) - GRAM + 1))
    return (whole, *(crc32(gram.encode()) - _SIGN for gram in grams))


@lru_cache(maxsize=200)
def slips(word: str) -> dict[str, int]:
    """All words one slip of the finger away, a letter lost, added, wrong, or swapped with the next, and the term of each one's stem.

    Empty for what has digits or fewer than :data:`GRAM` letters: too much is one slip away from those.
    """
    word = word[:MOST_LETTERS]
    if len(word) < GRAM or not word.isalpha():
        return {}
    found = set[str]()
    for at in range(len(word) + 1):
        left, right = word[:at], word[at:]
        found.update(left + letter + right for letter in _LETTERS)
        if right:
            found.add(left + right[1:])
            found.update(left + letter + right[1:] for letter in _LETTERS)
        if len(right) > 1:
            found.add(left + right[1] + right[0] + right[2:])
    return {each: crc32(f"={stem(each)}".encode()) - _SIGN for each in found}


def salted(business_id: int) -> int:
    """What a business's terms are XORed with, so that a term leads to chunks of this business alone (give or take a clash)."""
    return (business_id * 2654435761) & 0x7FFFFFFF


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(fold(text)):
        if word not in EMPTY and (len(word) > 1 or word.isdecimal()):
            yield word


@dataclass(frozen=True, slots=True)
class Terms:
    """A chunk as it is indexed: distinct ``terms`` ascending, how often each occurs (1..255), and its ``length`` in words."""

    terms: list[int]
    counts: bytes
    length: int


def chunk(business_id: int, *texts: str) -> Terms:
    """The terms of a chunk: its title, its section and its text."""
    salt, found, length = salted(business_id), Counter[int](), 0
    for text in texts:
        for word in _words(text):
            length += 1
            found.update(numbers(word))
    ranked = sorted((number ^ salt, count) for number, count in found.items())
    return Terms([number for number, _ in ranked], bytes(min(count, 255) for _, count in ranked), max(length, 1))


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a question: its ``terms`` as :func:`numbers` gives them, and as it is ``written``, folded."""

    written: str
    terms: tuple[int, ...]


def words(business_id: int, text: str) -> list[Word]:
    """The words of a question that carry its topic, each once.

    Spellings of chats stand for the words they mean (``qto`` → ``quanto``), and stretched letters are one (``preçooo``).
    """
    found = dict.fromkeys(
        _words(" ".join(_meant(_WORD.findall(_STRETCHED.sub(r"\1", fold(text[:4000]))), language(text[:4000]))))
    )
    salt = salted(business_id)
    return [Word(word, tuple(number ^ salt for number in numbers(word))) for word in list(found)[:MOST_WORDS]]


def written_out(text: str) -> str:
    """An English question as it would be written outside a chat, for models that read whole sentences; others as they are.

    Only MiniLM is known to lose by chat spelling, and its Portuguese and Spanish weigh too little to matter.
    """
    spoken = language(text)
    told = [fold(found[0]) for found in _TOKEN.finditer(text)]
    if spoken in ("pt", "es") or (CHATTY | SOUNDS.keys()).isdisjoint(told):
        return text
    meant = iter(zip(told, _meant(told, spoken), strict=True))

    def out(found: re.Match[str]) -> str:
        word, sense = next(meant)
        return ENGLISH.get(word) or (sense if word in SOUNDS else found[0])

    return _TOKEN.sub(out, text)


def _meant(told: list[str], spoken: str) -> list[str]:
    """The folded words of a question with chat spellings replaced by what they stand for."""
    here = SPELLINGS_IN.get(spoken, {})
    meant = [here.get(word) or SPELLINGS.get(word, word) for word in told]
    if spoken not in ("pt", "es") and not SOUNDS.keys().isdisjoint(told):
        chatty = not CHATTY.isdisjoint(told)
        for at, (before, word, after) in enumerate(zip(["", *told], told, [*told[1:], ""], strict=False)):
            counted = before in NUMBERED or not after.isalpha() or meant[at + 1] in ("please", "thanks")
            if word in SOUNDS and (after in BEFORE_NAMES or (chatty and not counted)):
                meant[at] = SOUNDS[word]
    return meant


def question(business_id: int, text: str) -> list[tuple[int, ...]]:
    """The terms of :func:`words`."""
    return [word.terms for word in words(business_id, text)]
