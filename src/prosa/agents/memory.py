"""What of a conversation the model gets to read, within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from genai_prices.data_snapshot import get_snapshot

from prosa.contracts import Line

MAX_QUESTION = 12_000
"""Characters of one question the model reads. More is no question; its beginning and its end are kept."""

RESERVE_TOKENS = 8_000
"""Of a model's window, what history may never take: our rules, the tools and their results, the answer."""

_LINE_OVERHEAD = 4  # tokens a message costs beyond its text, in the chat formats we know
_FENCE = re.compile(r"<(?=\s*/?\s*data\b)", re.IGNORECASE)
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Memory:
    """The lines kept, oldest first, how many were left out before them, and the estimated size in tokens."""

    lines: tuple[Line, ...]
    dropped: int
    tokens: int


def plain(text: str) -> str:
    """The text without NUL, other control characters and lone surrogates, which JSON or a provider would refuse."""
    return _UNSENDABLE.sub("", text)


def tokens(text: str) -> int:
    """Estimated size in tokens, on the high side of what tokenizers make of Portuguese, Spanish and English.

    About 3.5 bytes a token: bytes, because scripts and emoji that tokenizers know badly are also long in UTF-8.
    """
    return len(text.encode("utf-8", "surrogatepass")) * 2 // 7 + 1


def fenced(text: str) -> str:
    """A stranger's text between marks it cannot write itself."""
    return f"<data>\n{_FENCE.sub('‹', text)}\n</data>"


@lru_cache(maxsize=256)
def window(name: str) -> int | None:
    """Tokens a model reads at most, where the catalogue of prices knows it; None for others, and for ``offline``.

    :param name: ``provider:model``.
    """
    try:
        _, known = get_snapshot().find_provider_model(name.partition(":")[2], None, None, None)
    except LookupError:
        return None
    return known.context_window


def room(allowed: int, models: Iterable[str], told: str) -> int:
    """Tokens of history that fit each of ``models`` beside ``told`` (which is never trimmed), at most ``allowed``."""
    windows = [size for size in map(window, models) if size]
    return max(0, min([allowed, *(size - RESERVE_TOKENS - tokens(told) for size in windows)]))


def recall(history: Sequence[Line], budget: int) -> Memory:
    """The newest lines of ``history`` that fit ``budget`` tokens together; each is kept whole or not at all.

    Never with a gap: behind the first line that does not fit, nothing older is kept.
    """
    used = 0
    start = len(history)
    while start:
        size = tokens(history[start - 1].text) + _LINE_OVERHEAD
        if used + size > budget:
            break
        used += size
        start -= 1
    return Memory(lines=tuple(history[start:]), dropped=start, tokens=used)


def question(lines: Sequence[Line]) -> str:
    """Everything the customer asked and nobody answered yet, as one text: one fragment a line.

    Never more than ``MAX_QUESTION`` characters and a mark that says how many were left out of the middle.
    """
    text = plain("\n".join(line.text for line in lines if line.text)).strip()
    if len(text) <= MAX_QUESTION:
        return text
    half = MAX_QUESTION // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
