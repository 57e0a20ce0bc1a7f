"""Proving who the customer is, beyond the number of the channel, before account data may be touched.

Built in: a code sent to an e-mail address the business knew of this contact before the conversation began. Others by
``hookspecs.identity_proofs``. What is given is compared in constant time, counted, and kept nowhere. Everything that goes
wrong leaves the customer as they were; a proof holds for a while, in its conversation, for the identities of that moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import smtplib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.core.mail import send_mail

from prosa import conf, sql
from prosa.contracts import (
    IDENTITY_LEVELS,
    Caller,
    Identity,
    IdentityLevel,
    Json,
    ProofOffer,
    Tool,
    ToolContext,
    ToolResult,
    Turn,
)
from prosa.conversations.handoff import fold
from prosa.conversations.words import words
from prosa.plugins import manager
from prosa.postgres.connections import Connection, Pool, fetch_one

log = logging.getLogger(__name__)
queries = sql.load(__file__, "proving.sql")

NAME = "prove_identity"
EMAIL = "email_code"
DIGITS = 6
CODE_MINUTES = 10
MOST_TRIES = 3
"""Wrong codes after which a code is worth nothing."""
MOST_CODES = 3
"""Codes sent to one contact a day."""
MOST_WRONG = 5
"""Wrong values of one contact a day, whatever the way."""
LEAST = 3
"""Letters and digits an expected value must have to prove anything."""

_PERSON = "Say so and offer to bring in a person; do not try another value."
_WRONG = "That does not match. Ask the customer to look again; do not say what would be right, and never try a value of your own."
_TOO_MANY = f"There were too many attempts, and it cannot be proved here any more today. {_PERSON}"
_NO_EMAIL = f"The business knows no e-mail address of this customer. {_PERSON}"
_NO_CODE = f"No code is waiting, or its time is over. Call it without a value to send a new one. Otherwise: {_PERSON}"
_UNSENT = f"The e-mail could not be sent. {_PERSON}"
_UNSAID = "The customer did not write this value in the last messages. Ask for it; never make one up."
_PROVED = "Proved. What needed it can be used now."


class _Refused(Exception):
    """Nothing may be tried; the words are for the model."""


def level(identities: Sequence[Identity], proved: Sequence[str] | None, *, by_channel: bool) -> IdentityLevel:
    """How surely a customer is known. ``proved``: the identities they had when they proved it, while that holds."""
    if proved is not None and set(proved) == {each.key for each in identities}:
        return "verified"
    return "number" if by_channel and any(each.kind == "phone" for each in identities) else "anonymous"


def number(identities: Sequence[Identity]) -> str:
    """The newest phone of these, digits only; empty when there is none."""
    return next((each.value for each in reversed(identities) if each.kind == "phone"), "")


@lru_cache(maxsize=1)
def ways() -> dict[str, ProofOffer]:
    """What plug-ins offer, by name. Read once a process; what cannot be used is left out."""
    found: dict[str, ProofOffer] = {}
    for each in manager().hook.identity_proofs.get_hookimpls():
        try:
            function: Any = each.function
            offers = list(function())
        except Exception:
            log.exception("The proofs of %s are left out.", each.plugin_name)
            continue
        for offer in offers:
            usable = isinstance(offer, ProofOffer) and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", offer.name)
            if usable and offer.name != EMAIL and offer.asks.strip():
                found.setdefault(offer.name, offer)
            else:
                log.error(
                    "A proof of %s is left out: its name is taken or unusable, or it asks for nothing.",
                    each.plugin_name,
                )
    return found


def mails() -> bool:
    """Can this installation send e-mail at all?"""
    smtp = django_settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
    return not smtp or django_settings.EMAIL_HOST not in ("", "localhost")


def offered(turn: Turn, caller: Caller, pool: Pool, identities: Sequence[Identity]) -> Turn:
    """The turn with the tool to prove one's identity, where another tool needs it and there is a way."""
    every = (*turn.tools, *(tool for each in turn.specialists for tool in each.tools))
    known = IDENTITY_LEVELS.index(turn.identity)
    needing = sorted({tool.name for tool in every if IDENTITY_LEVELS.index(tool.identity) > known})
    if not needing:
        return turn
    open_to = {name: offer.asks for name, offer in ways().items()}
    if mails() and any(each.kind == "email" for each in identities):
        open_to[EMAIL] = "a code sent to the e-mail address the business knows; call it without a value to send one"
    return replace(turn, tools=(*turn.tools, _tool(open_to, needing, caller, pool))) if open_to else turn


def _tool(open_to: dict[str, str], needing: Sequence[str], caller: Caller, pool: Pool) -> Tool:
    told = "\n".join(f"- {name}: {asks}" for name, asks in open_to.items())
    return Tool(
        NAME,
        f"Prove who the customer is, which {', '.join(needing)} needs. Ask for one of these, then call this with exactly what "
        f"the customer wrote:\n{told}\nNever make up or complete a value.",
        {
            "type": "object",
            "properties": {
                "way": {"type": "string", "enum": sorted(open_to)},
                "value": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 100,
                    "description": "As the customer wrote it.",
                },
            },
            "required": ["way"],
            "additionalProperties": False,
        },
        _run(caller, pool),
        secret=frozenset({"value"}),
    )


def _run(caller: Caller, pool: Pool) -> Callable[[ToolContext, Json], Awaitable[ToolResult]]:
    async def run(context: ToolContext, given: Json) -> ToolResult:
        value = given.get("value", "")
        if value and not _said(context.turn, value):
            return ToolResult(_UNSAID, error=True)
        try:
            if given["way"] == EMAIL:
                return await (_check_code(pool, caller, value) if value else _send_code(pool, caller))
            return await _check(pool, caller, ways()[given["way"]], value)
        except _Refused as refused:
            return ToolResult(str(refused), error=True)

    return run


def _said(turn: Turn, value: str) -> bool:
    """Did the customer write this, just now? A model must not be able to guess."""
    return _plain(value) != "" and any(_plain(value) in _plain(line.text) for line in turn.question)


def _plain(text: str) -> str:
    return "".join(character for character in fold(text) if character.isalnum())


def _same(given: str, expected: str) -> bool:
    """Compared in constant time, whatever the lengths."""
    key = secrets.token_bytes(32)
    both = [hmac.digest(key, text.encode(), "sha256") for text in (_plain(given), _plain(expected))]
    return hmac.compare_digest(*both) and len(_plain(expected)) >= LEAST


def _hashed(salt: str, code: str) -> str:
    secret = conf.settings().secret_key.get_secret_value() or django_settings.SECRET_KEY
    return f"{salt}:{hmac.new(secret.encode(), f'{salt}{code}'.encode(), hashlib.sha256).hexdigest()}"


class _Locked(NamedTuple):
    """A contact while their attempts are counted: of today, ``codes`` sent and ``wrong`` values given."""

    contact: int
    business: int
    identities: list[str]
    email: str | None
    codes: int
    wrong: int


async def _lock(connection: Connection, caller: Caller) -> _Locked:
    """The contact, locked, so that attempts made at once are counted one after the other.

    :raises _Refused: the conversation is gone, or too much was tried today.
    """
    row = await fetch_one(connection, queries.lock, _where(caller))
    if row is None:
        raise _Refused(_PERSON)
    if row[5] >= MOST_WRONG:
        raise _Refused(_TOO_MANY)
    return _Locked(*row)


async def _send_code(pool: Pool, caller: Caller) -> ToolResult:
    code, salt = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}", secrets.token_hex(8)
    async with pool.connection() as connection, connection.transaction():
        locked = await _lock(connection, caller)
        if locked.email is None:
            raise _Refused(_NO_EMAIL)
        if locked.codes >= MOST_CODES:
            raise _Refused(_TOO_MANY)
        row = await fetch_one(
            connection,
            queries.begin,
            {
                **_where(caller), "contact_id": locked.contact, "identities": locked.identities, "way": EMAIL, "secret": _hashed(salt, code), "tries": 0,
                "status": "asked", "minutes": CODE_MINUTES,
            },
        )  # fmt: skip
    address = locked.email.partition(":")[2]
    told = words(caller.locale)
    try:
        await asyncio.to_thread(
            send_mail, told["code_subject"], told["code_body"].format(code=code, minutes=CODE_MINUTES), None, [address]
        )
    except (smtplib.SMTPException, OSError) as error:
        log.warning("A code could not be sent by e-mail (%s)", type(error).__name__)
        async with pool.connection() as connection:
            await connection.execute(queries.end, _ended(row, "failed"), prepare=True)
        return ToolResult(_UNSENT, error=True)
    return ToolResult(
        f"A code of {DIGITS} digits was sent to {masked(address)}. Ask the customer to write it here within {CODE_MINUTES} minutes."
    )


async def _check_code(pool: Pool, caller: Caller, value: str) -> ToolResult:
    async with pool.connection() as connection, connection.transaction():
        locked = await _lock(connection, caller)
        row = await fetch_one(connection, queries.code, {**_where(caller), "contact_id": locked.contact})
        if row is None:
            return ToolResult(_NO_CODE, error=True)
        salt = row[1].partition(":")[0]
        if hmac.compare_digest(_hashed(salt, re.sub(r"\D", "", value)), row[1]):
            await connection.execute(queries.end, _ended(row, "proved"), prepare=True)
            return ToolResult(_PROVED, identity="verified")
        await connection.execute(queries.tried, {"id": row[0], "most": MOST_TRIES}, prepare=True)
    return ToolResult(_TOO_MANY if row[2] + 1 >= MOST_TRIES else _WRONG, error=True)


async def _check(pool: Pool, caller: Caller, offer: ProofOffer, value: str) -> ToolResult:
    if not value:
        return ToolResult(f"Ask the customer for {offer.asks}.", error=True)
    # The attempt counts before it is judged: who is cut off in between has not tried for nothing.
    async with pool.connection() as connection, connection.transaction():
        locked = await _lock(connection, caller)
        row = await fetch_one(
            connection,
            queries.begin,
            {
                **_where(caller), "contact_id": locked.contact, "identities": locked.identities, "way": offer.name, "secret": "", "tries": 1,
                "status": "failed", "minutes": CODE_MINUTES,
            },
        )  # fmt: skip
    matches = [_same(value, each) for each in await offer.expected(caller)]
    async with pool.connection() as connection:
        await connection.execute(queries.end, _ended(row, "proved" if any(matches) else "failed"), prepare=True)
    if any(matches):
        return ToolResult(_PROVED, identity="verified")
    return ToolResult(_TOO_MANY if locked.wrong + 1 >= MOST_WRONG else _WRONG, error=True)


def masked(address: str) -> str:
    """An e-mail address as its owner recognises it and nobody else learns it: ``j…@g….com``."""
    name, _, host = address.partition("@")
    domain, dot, ending = host.rpartition(".")
    return f"{name[:1]}…@{domain[:1]}…{dot}{ending}"


def _where(caller: Caller) -> Json:
    return {"conversation_id": caller.conversation_id, "business_id": caller.business_id}


def _ended(row: Any, status: str) -> Json:
    return {
        "id": row[0],
        "status": status,
        "minutes": conf.settings().verified_minutes,
        "event": "identity_proved" if status == "proved" else "identity_not_proved",
    }
