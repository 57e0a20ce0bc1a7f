"""What a customer told about themselves and asked us, by telling, to remember: kept, bounded, forgotten.

A fact is data of a stranger: it is shown to people with who told it and when, and to a model fenced as data. Secrets
are never kept: identity and card numbers, passwords, keys.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from prosa import redaction, sql
from prosa.postgres.connections import Connection, fetch_all
from prosa.sql import Texts

queries = sql.load(__file__, "facts.sql")

MOST = 50
"""Facts kept of one person; the oldest give way."""
LONGEST = 300
"""Characters of one fact."""

_HIDDEN = (redaction.CPF, redaction.CNPJ, redaction.CARD, redaction.SECRET)
_SECRET = re.compile(
    r"(?<!\w)(?:senhas?|passwords?|passcode|contrasenas?|clave|pin|cvv|cvc|token|codigo de seguranca|codigo de seguridad|security code)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was told: ids of rows that may be gone later."""

    conversation_id: int
    turn_id: int | None = None
    message_id: int | None = None


def key(text: str) -> str:
    """What two writings of one fact share: lower case, no accents, no marks at the ends, single spaces."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(mark))
    return " ".join(plain.split()).strip(" .,;:!?…-\"'")[:LONGEST]


def secret(text: str) -> bool:
    """Does it hold what must not be remembered: a CPF, CNPJ or card number, a key, or a word such as *password*?"""
    hidden = redaction.redact(text)
    return any(kind in hidden and kind not in text for kind in _HIDDEN) or _SECRET.search(key(text)) is not None


def fit(texts: Sequence[str]) -> list[str]:
    """Those that may be kept, each once, on one line and within :data:`LONGEST` characters."""
    found: dict[str, str] = {}
    for text in texts:
        line = " ".join(sql.clean(text).decode().split())[:LONGEST]
        if key(line) and not secret(line):
            found.setdefault(key(line), line)
    return list(found.values())


async def keep(connection: Connection, business_id: int, contact_id: int, texts: Sequence[str], source: Source) -> int:
    """Remember what may be, in the caller's transaction; how many facts that were. Told again, a fact is as new."""
    kept = fit(texts)
    if not kept:
        return 0
    await connection.execute(
        queries.keep,
        {
            "business_id": business_id,
            "contact_id": contact_id,
            "texts": Texts(kept),
            "keys": Texts([key(text) for text in kept]),
            "conversation_id": source.conversation_id,
            "turn_id": source.turn_id,
            "message_id": source.message_id,
        },
        prepare=True,
    )
    await connection.execute(
        queries.bound, {"business_id": business_id, "contact_id": contact_id, "most": MOST}, prepare=True
    )
    return len(kept)


async def erase(connection: Connection, business_id: int, contact_id: int) -> int:
    """Forget everything about a person, in the caller's transaction; how many facts there were."""
    rows = await fetch_all(connection, queries.erase, {"business_id": business_id, "contact_id": contact_id})
    return len(rows)
