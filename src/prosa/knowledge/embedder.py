"""Asking one embedding model: in batches, again where that can help, and no text twice.

A text is embedded once: its vector is cached by the hash of its normalised form and the model, and who asks for a text
that is being embedded waits for that same call. Vectors are rounded to 32-bit floats, so that a cached one is the one that was computed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import struct
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic_ai import Embedder as Asker
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, ModelHTTPError, UserError

from prosa import cache
from prosa.breaker import Breaker
from prosa.errors import BadInput, PermanentError, ProsaError, SlowDown, TemporaryError

MOST_BYTES = 8191
"""UTF-8 bytes of a text that are embedded. A token is at least one byte and OpenAI refuses a text above 8,191 tokens, so no
text is refused; Gemini and MiniLM read less (2,048 and 256 tokens) and cut the rest themselves. Chunks are shorter anyway."""
TRIES = 5
LONGEST_WAIT = 30.0
"""Seconds; a server that asks for more patience gets it from the caller, who can be put off."""
AT_ONCE = 4
"""Requests with documents that one embedder has under way."""

Kind = Literal["query", "document"]
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of the texts, and what they cost this caller.

    ``tokens`` were billed for this call alone: what came from the cache or from another's call costs nothing.
    ``estimated`` is True when the server did not count (Gemini) and a token was taken for four characters.
    """

    vectors: tuple[Vector, ...]
    tokens: int = 0
    requests: int = 0
    cached: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: ``texts``, and ``size`` bytes of them in all (as tokens are limited, and bytes are more)."""

    texts: int
    size: int


@dataclass(slots=True)
class _Bill:
    tokens: int = 0
    requests: int = 0
    computed: int = 0
    estimated: bool = False


class Embedder:
    """One model, ready to be asked, in one event loop.

    ``name`` is what :func:`find` was given and what vectors are stored under. ``two_kinds``: queries and documents get different vectors.
    """

    def __init__(
        self,
        name: str,
        model: EmbeddingModel,
        store: cache.Cache,
        limits: Limits,
        *,
        address: str = "",
        two_kinds: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._asker, self._cache, self._limits, self._sleep = Asker(model), store, limits, sleep
        self._address, self._two_kinds = address, two_kinds
        self.breaker = Breaker(failures=3)
        """For questions, which cannot wait: whether to ask at all. Documents are tried again by themselves."""
        self._pending: dict[str, asyncio.Future[Vector]] = {}
        self._tasks: set[asyncio.Task[_Bill]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def documents(self, texts: Sequence[str]) -> Embedded:
        """The vectors of texts to be found. What succeeded before a failure is cached, so trying again costs only the rest.

        :raises BadInput: a text is empty.
        :raises SlowDown: the server still asks for patience after all tries, or for more than half a minute.
        :raises TemporaryError: it cannot be reached or does not work now.
        :raises PermanentError: it refuses; the message says what to look at.
        """
        return await self._embed(texts, "document")

    async def query(self, text: str) -> Embedded:
        """The vector of a question; raises as :meth:`documents`."""
        return await self._embed([text], "query")

    async def _embed(self, texts: Sequence[str], kind: Kind) -> Embedded:
        prepared = [prepare(text) for text in texts]
        if "" in prepared:
            raise BadInput(f"Text {prepared.index('') + 1} of {len(prepared)} is empty.\nEmbed only what has words.")
        keys = [self._key(text, kind) for text in prepared]
        wanted = dict(zip(keys, prepared, strict=True))
        awaited = {key: self._pending[key] for key in wanted if key in self._pending}
        loop = asyncio.get_running_loop()
        own: dict[str, asyncio.Future[Vector]] = {}
        for key in wanted:
            if key not in awaited:
                own[key] = self._pending[key] = loop.create_future()
        bill = _Bill()
        if own:
            # A task of its own: others may wait for these texts when this caller is cancelled.
            work = asyncio.create_task(self._work({key: wanted[key] for key in own}, own, kind))
            self._tasks.add(work)
            work.add_done_callback(self._tasks.discard)
            bill = await asyncio.shield(work)
        found = {key: await asyncio.shield(future) for key, future in (awaited | own).items()}
        vectors = tuple(found[key] for key in keys)
        return Embedded(vectors, bill.tokens, bill.requests, len(own) - bill.computed, bill.estimated)

    def _key(self, text: str, kind: Kind) -> str:
        told = (self.name, self._address, kind if self._two_kinds else "", text)
        return hashlib.sha256("\0".join(told).encode()).hexdigest()

    async def _work(self, texts: dict[str, str], promised: dict[str, asyncio.Future[Vector]], kind: Kind) -> _Bill:
        """Keep the promises: from the cache, else by asking. Whatever happens none is left open."""
        bill = _Bill()
        try:
            known = await self._cache.get(texts)
            for key, value in known.items():
                self._keep(promised[key], _unpacked(value))
            absent = [key for key in texts if key not in known]
            batches = [self._batch(batch, texts, promised, kind, bill) for batch in self._batches(absent, texts)]
            failures = [one for one in await asyncio.gather(*batches, return_exceptions=True) if one is not None]
            if failures:
                raise failures[0]  # noqa: TRY301 -- the others' promises are broken below, with it
        except BaseException as error:
            for future in promised.values():
                if not future.done():
                    # A cancelled work (the loop ends) must not look to waiters as if they were cancelled themselves.
                    told = (
                        error
                        if isinstance(error, Exception)
                        else TemporaryError("The embedding was interrupted.\nTry again.")
                    )
                    future.set_exception(told)
                    future.exception()  # seen, also when nobody waits
            raise
        finally:
            for key in promised:
                self._pending.pop(key, None)
        return bill

    async def _batch(
        self,
        keys: list[str],
        texts: dict[str, str],
        promised: dict[str, asyncio.Future[Vector]],
        kind: Kind,
        bill: _Bill,
    ) -> None:
        # A question is awaited by a customer, documents by nobody: it does not stand in their queue.
        async with self._places if kind == "document" else contextlib.nullcontext():
            result = await self._ask([texts[key] for key in keys], kind)
        packed = {key: _packed(vector) for key, vector in zip(keys, result.embeddings, strict=True)}
        bill.requests += 1
        bill.computed += len(keys)
        if result.usage.input_tokens:
            bill.tokens += result.usage.input_tokens
        else:
            bill.tokens += sum(len(texts[key]) // 4 + 1 for key in keys)
            bill.estimated = True
        await self._cache.put(packed)
        for key, value in packed.items():
            self._keep(promised[key], _unpacked(value))

    def _keep(self, promise: asyncio.Future[Vector], vector: Vector) -> None:
        if not promise.done():
            promise.set_result(vector)

    def _batches(self, keys: list[str], texts: dict[str, str]) -> list[list[str]]:
        batches: list[list[str]] = []
        size = 0
        # By length: where a batch is padded to its longest text (MiniLM), alike texts waste least.
        for key in sorted(keys, key=lambda one: len(texts[one])):
            weight = len(texts[key].encode())
            if not batches or len(batches[-1]) == self._limits.texts or size + weight > self._limits.size:
                batches.append([])
                size = 0
            batches[-1].append(key)
            size += weight
        return batches

    async def _ask(self, texts: list[str], kind: Kind) -> EmbeddingResult:
        for number in range(1, TRIES + 1):
            try:
                result = await self._asker.embed(texts, input_type=kind)
            except (AgentRunError, UserError) as error:
                failure = _failure(error, self.name)
            else:
                _check(result, len(texts), self.name)
                return result
            wait = failure.retry_after if isinstance(failure, TemporaryError) else None
            if not isinstance(failure, TemporaryError) or number == TRIES or (wait or 0) > LONGEST_WAIT:
                raise failure
            # Half of it by chance, so that those who failed together do not come back together.
            await self._sleep(wait if wait is not None else 0.5 * 2 ** (number - 1) * random.uniform(0.5, 1.0))  # noqa: S311
        raise AssertionError("unreachable")


def prepare(text: str) -> str:
    """The form a text is embedded and hashed in: Unicode NFC, white space as single spaces, at most :data:`MOST_BYTES`."""
    plain = " ".join(unicodedata.normalize("NFC", text).replace("\0", " ").split())
    # Lone surrogates, which some webhooks carry, cannot be written as UTF-8.
    encoded = plain.encode("utf-8", "replace")
    return encoded[:MOST_BYTES].decode("utf-8", "ignore").rstrip()


def _packed(vector: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def _unpacked(value: bytes) -> Vector:
    return struct.unpack(f"<{len(value) // 4}f", value)


def _check(result: EmbeddingResult, count: int, name: str) -> None:
    sizes = {len(vector) for vector in result.embeddings}
    if len(result.embeddings) != count or len(sizes) != 1 or 0 in sizes:
        raise PermanentError(
            f"{name} gave {len(result.embeddings)} vectors of {len(sizes)} lengths for {count} texts.\nCheck that the server speaks the embeddings API."
        )


def _failure(error: Exception, name: str) -> ProsaError:
    """What the caller can act on. The server's own words are left out: they may repeat a key or the customer's text."""
    if isinstance(error, ModelHTTPError):
        status, code = error.status_code, str(error.status_code)
        if status == 429:
            return SlowDown(
                f"{name} asks for a slower pace.\nTry again later.", code=code, retry_after=error.retry_after
            )
        if status >= 500 or status == 408:
            return TemporaryError(
                f"{name} answered {status}.\nTry again later.", code=code, retry_after=error.retry_after
            )
        advice = {401: "Check the key.", 403: "Check the key's rights.", 404: "Check the model's name and the address."}
        return PermanentError(
            f"{name} refused with {status}.\n{advice.get(status, 'Check PROSA_EMBEDDING_MODEL.')}", code=code
        )
    if isinstance(error, ModelAPIError):
        return TemporaryError(f"{name} could not be reached.\nTry again later.")
    return PermanentError(
        f"{name} answered something that is no embedding.\nCheck that the server speaks the embeddings API."
    )
