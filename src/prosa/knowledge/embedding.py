"""Embedding models by name.

``openai:NAME`` asks OpenAI or any compatible server (``OPENAI_BASE_URL``), ``google:NAME`` Gemini,
``local:all-minilm-l6-v2`` this machine's processor. The empty name is no model: full text alone serves then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pydantic import SecretStr
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from prosa import cache
from prosa.conf import settings
from prosa.errors import ConfigurationError
from prosa.knowledge import minilm
from prosa.knowledge.embedder import Embedded, Embedder, Kind, Limits
from prosa.postgres.connections import Pool

__all__ = ["Embedded", "Embedder", "close", "find", "release"]

OPENAI = "https://api.openai.com/v1"
LOCAL = "all-minilm-l6-v2"
TABLE = "prosa_knowledge_embedding"
TTL = 90 * 86400.0
"""Seconds a vector is kept on the shared level. Models do not change under their name; texts go out of use."""
MEMORY_BYTES = 64 * 1024 * 1024


class _Local(EmbeddingModel):
    """MiniLM behind pydantic-ai's interface. It is loaded and computes in a thread: NumPy lets go of the interpreter while it multiplies."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        minilm.check()

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return "local"

    async def embed(self, inputs: str | Sequence[str], *, input_type: Kind, settings: Any = None) -> EmbeddingResult:
        texts, _ = self.prepare_embed(inputs, settings)
        vectors, pieces = await asyncio.to_thread(lambda: minilm.load().embed(texts))
        return EmbeddingResult(
            vectors, inputs=texts, input_type=input_type, model_name=self._name, provider_name="local",
            usage=RequestUsage(input_tokens=pieces),
        )  # fmt: skip


@dataclass
class _Home:
    """What belongs to one event loop: connections cannot be shared between loops."""

    client: DefaultAsyncHttpxClient = field(
        default_factory=lambda: DefaultAsyncHttpxClient(timeout=Timeout(60.0, connect=10.0))
    )
    shared: dict[object, cache.Shared | None] = field(default_factory=dict)
    embedders: dict[tuple[str, str, object], Embedder] = field(default_factory=dict)


_homes: dict[asyncio.AbstractEventLoop, _Home] = {}
_memory = cache.Memory(MEMORY_BYTES, TTL)


def find(name: str, pool: Pool | None = None) -> Embedder | None:
    """The embedder of this name, made on first use; None for the empty name. Call it within a running event loop.

    ``pool`` is where the shared cache lives when there is no Redis; without both, vectors are cached in memory alone.

    :raises ConfigurationError: the name, a key or a package is missing or wrong; the message says what to do.
    """
    if not name:
        return None
    provider, _, model = name.partition(":")
    if provider not in _MAKERS or not model:
        raise ConfigurationError(
            f"{name!r} is not the name of an embedding model.\n"
            f"Write provider:model with one of {', '.join(_MAKERS)}, or nothing for full text alone."
        )
    config, home = settings(), _home()
    address = {"openai": config.openai_base_url or OPENAI, "google": config.gemini_base_url}.get(provider, "")
    where = config.redis_url or pool
    embedder = home.embedders.get((name, address, where))
    if embedder is None:
        if where not in home.shared:
            home.shared[where] = cache.shared("embedding", config.redis_url, pool, TABLE)
        store = cache.Cache(_memory, home.shared[where], ttl=TTL)
        made = _MAKERS[provider](model, address, home)
        embedder = Embedder(name, made, store, _LIMITS[provider], address=address, two_kinds=provider == "google")
        home.embedders[name, address, where] = embedder
    return embedder


async def close() -> None:
    """Let go of every connection of the running event loop."""
    home = _homes.pop(asyncio.get_running_loop(), None)
    if home is None:
        return
    for shared in home.shared.values():
        if shared is not None:
            await shared.close()
    await home.client.aclose()


async def release(pool: Pool) -> None:
    """Let go of what :func:`find` made on a pool that is about to be closed."""
    home = _homes.get(asyncio.get_running_loop())
    if home is None:
        return
    for key in [key for key in home.embedders if key[2] is pool]:
        del home.embedders[key]
    gone = home.shared.pop(pool, None)
    if gone is not None:
        await gone.close()


def _home() -> _Home:
    loop = asyncio.get_running_loop()
    if loop not in _homes:
        for gone in [other for other in _homes if other.is_closed()]:
            del _homes[gone]
        _homes[loop] = _Home()
    return _homes[loop]


def _key(secret: SecretStr, variable: str, *, needed: bool = True) -> str:
    key = secret.get_secret_value()
    if not key and needed:
        raise ConfigurationError(f"{variable} is not set.\nSet it, or choose another model in PROSA_EMBEDDING_MODEL.")
    return key or "none"


def _openai(model: str, address: str, home: _Home) -> EmbeddingModel:
    # A server of one's own often wants no key; OpenAI always does.
    key = _key(settings().openai_api_key, "OPENAI_API_KEY", needed=address == OPENAI)
    client = AsyncOpenAI(base_url=address, api_key=key, max_retries=0, http_client=home.client)
    return OpenAIEmbeddingModel(model, provider=OpenAIProvider(openai_client=client))


def _google(model: str, address: str, home: _Home) -> EmbeddingModel:
    key = _key(settings().gemini_api_key, "GEMINI_API_KEY")
    try:
        from pydantic_ai.embeddings.google import GoogleEmbeddingModel
        from pydantic_ai.providers.google import GoogleProvider
    except ImportError as error:
        raise ConfigurationError(
            "The package for Google's models is not installed.\nRun: pip install 'prosa[google]'"
        ) from error
    return GoogleEmbeddingModel(
        model, provider=GoogleProvider(api_key=key, base_url=address or None, http_client=home.client)
    )


def _local(model: str, _address: str, _home: _Home) -> EmbeddingModel:
    if model != LOCAL:
        raise ConfigurationError(f"There is no local embedding model {model!r}.\nWrite local:{LOCAL}.")
    return _Local(model)


_MAKERS: dict[str, Callable[[str, str, _Home], EmbeddingModel]] = {
    "openai": _openai,
    "google": _google,
    "local": _local,
}

# OpenAI: 2,048 texts and 300,000 tokens a request; Gemini: 100 texts. MiniLM: as many as fill its matrices well.
_LIMITS = {"openai": Limits(2048, 300_000), "google": Limits(100, 300_000), "local": Limits(16, 300_000)}
