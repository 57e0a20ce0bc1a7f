"""The models one can ask, by name, each with its client and its breaker.

``openai-chat:NAME`` speaks Chat Completions to OpenAI or any compatible server (``OPENAI_BASE_URL``: Ollama, vLLM…),
``openai:NAME`` the Responses API, ``google:NAME`` Gemini, ``anthropic:NAME`` Claude. ``offline`` is no model.
Everything is made once per process and event loop: building a client costs more than a turn.
"""

from __future__ import annotations

import asyncio
import os
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pydantic import SecretStr
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers import Provider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from prosa.agents.completions import Completions, watched
from prosa.breaker import Breaker
from prosa.conf import settings
from prosa.errors import ConfigurationError

OPENAI = "https://api.openai.com/v1"
GEMINI = "https://generativelanguage.googleapis.com"
COMPATIBLE = "openai-compatible"
"""Provider name of answers from a server that speaks like OpenAI and is not."""

CONNECT_SECONDS = 10.0
"""A server that does not take the connection within this time is not there."""


@dataclass(slots=True)
class Mind:
    """A model ready to be asked. Models behind one address share one breaker. ``tools``, ``sees``: False once it refused
    tools or pictures."""

    name: str
    model: Model[Any]
    breaker: Breaker
    tools: bool = True
    sees: bool = True

    def failed(self, error: Exception) -> None:
        """Tell the breaker, when an error speaks against the server and not only against what it was asked."""
        refused_this = isinstance(error, ModelHTTPError) and error.status_code in {400, 404, 413, 422}
        if refused_this or not isinstance(error, (TimeoutError, OSError, ModelAPIError, aiohttp.ClientError)):
            self.breaker.succeeded()
        else:
            self.breaker.failed()


@dataclass
class _Home:
    """What belongs to one event loop: connections cannot be shared between loops."""

    session: aiohttp.ClientSession
    client: DefaultAsyncHttpxClient  # for the SDKs that bring their own way of speaking
    minds: dict[tuple[str, str], Mind] = field(default_factory=dict)
    breakers: dict[tuple[str, str], Breaker] = field(default_factory=dict)


_homes: dict[asyncio.AbstractEventLoop, _Home] = {}


def find(name: str) -> Mind:
    """The model of this name, made on first use. Call it within a running event loop.

    :raises ConfigurationError: the name, a key or a package is missing or wrong; the message says what to do.
    """
    provider, _, model_name = name.partition(":")
    maker = _MAKERS.get(provider)
    if maker is None or not model_name:
        raise ConfigurationError(
            f"{name!r} is not the name of a model.\nWrite provider:model with one of {', '.join(_MAKERS)}, or offline."
        )
    home = _home()
    address = _address(provider)
    mind = home.minds.get((name, address))
    if mind is None:
        breaker = home.breakers.setdefault((provider.removesuffix("-chat"), address), Breaker())
        mind = home.minds[name, address] = Mind(name, maker(model_name, address), breaker)
    return mind


@dataclass(frozen=True, slots=True)
class Server:
    """What a plain request beside the chat needs (voice): where to, with which key, over what, and whether to ask at all.

    ``own`` is True for a compatible server that is not the provider's. Its breaker is not the chat's: a server that
    cannot hear may still answer.
    """

    address: str
    key: str
    own: bool
    session: aiohttp.ClientSession
    proxy: str | None
    breaker: Breaker


def server(provider: str) -> Server:
    """The server behind ``openai`` or ``google``. Call it within a running event loop.

    :raises ConfigurationError: another provider, or its key is missing.
    """
    config = settings()
    home = _home()
    address = _address(provider)
    if provider == "openai":
        own = address != OPENAI
        key = _key(config.openai_api_key, "OPENAI_API_KEY", needed=not own)
    elif provider == "google":
        own = bool(address)
        address = address or GEMINI
        key = _key(config.gemini_api_key, "GEMINI_API_KEY")
    else:
        raise ConfigurationError(f"{provider!r} has no voice.\nWrite openai:NAME or google:NAME, or add a plug-in.")
    breaker = home.breakers.setdefault((f"{provider}-voice", address), Breaker())
    return Server(address, key, own, home.session, _proxy(address), breaker)


def elsewhere(name: str) -> bool:
    """Whether a model is served by a compatible server that is not OpenAI."""
    provider = name.partition(":")[0]
    return provider in {"openai", "openai-chat"} and _address(provider) != OPENAI


async def close() -> None:
    """Let go of every connection of the running event loop. The next turn would open new ones."""
    home = _homes.pop(asyncio.get_running_loop(), None)
    if home is None:
        return
    await home.session.close()
    await home.client.aclose()


def secrets() -> tuple[str, ...]:
    """The keys that must not appear in any error text."""
    config = settings()
    keys = (config.openai_api_key, config.gemini_api_key, config.anthropic_api_key)
    return tuple(key.get_secret_value() for key in keys if key.get_secret_value())


def _address(provider: str) -> str:
    config = settings()
    return {"google": config.gemini_base_url, "anthropic": config.anthropic_base_url}.get(
        provider, config.openai_base_url or OPENAI
    )


def _key(secret: SecretStr, variable: str, *, needed: bool = True) -> str:
    key = secret.get_secret_value()
    if not key and needed:
        raise ConfigurationError(f"{variable} is not set.\nSet it, or choose another model in PROSA_MODEL.")
    return key or "none"


def _openai_client(address: str) -> AsyncOpenAI:
    # A server of one's own often wants no key; OpenAI always does.
    key = _key(settings().openai_api_key, "OPENAI_API_KEY", needed=address == OPENAI)
    return AsyncOpenAI(base_url=address, api_key=key, max_retries=0, http_client=_home().client)


def _openai_provider(client: AsyncOpenAI, address: str) -> Provider[AsyncOpenAI]:
    if address == OPENAI:
        return OpenAIProvider(openai_client=client)
    return OpenAICompatibleProvider(COMPATIBLE, openai_client=client)


def _openai_chat(model: str, address: str) -> Model[Any]:
    client = _openai_client(address)
    vars(client.chat)["completions"] = Completions(client, _home().session, _proxy(address))
    return OpenAIChatModel(model, provider=_openai_provider(client, address))


def _openai_responses(model: str, address: str) -> Model[Any]:
    return OpenAIResponsesModel(model, provider=_openai_provider(_openai_client(address), address))


def _google(model: str, address: str) -> Model[Any]:
    key = _key(settings().gemini_api_key, "GEMINI_API_KEY")
    try:
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider
    except ImportError as error:
        raise _missing("google") from error
    return GoogleModel(
        model, provider=GoogleProvider(api_key=key, base_url=address or None, http_client=_home().client)
    )


def _anthropic(model: str, address: str) -> Model[Any]:
    key = _key(settings().anthropic_api_key, "ANTHROPIC_API_KEY")
    try:
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
    except ImportError as error:
        raise _missing("anthropic") from error
    client = AsyncAnthropic(api_key=key, base_url=address or None, max_retries=0, http_client=_home().client)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


_MAKERS = {"openai-chat": _openai_chat, "openai": _openai_responses, "google": _google, "anthropic": _anthropic}


def _missing(extra: str) -> ConfigurationError:
    return ConfigurationError(f"The package for {extra} models is not installed.\nRun: pip install 'prosa[{extra}]'")


def _home() -> _Home:
    loop = asyncio.get_running_loop()
    home = _homes.get(loop)
    if home is None:
        for gone in [other for other in _homes if other.is_closed()]:
            del _homes[gone]
        home = _homes[loop] = _Home(_session(), _client())
    return home


def _session() -> aiohttp.ClientSession:
    # The worker bounds how many turns it thinks about; a second limit here would only queue them in the dark.
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[watched()],
    )


def _client() -> DefaultAsyncHttpxClient:
    return DefaultAsyncHttpxClient(timeout=Timeout(600.0, connect=CONNECT_SECONDS))


def _proxy(address: str) -> str | None:
    """The proxy the environment asks for. Looked up once: aiohttp's own ``trust_env`` reads ``.netrc`` per request."""
    parts = urllib.parse.urlsplit(address)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme) or os.environ.get("ALL_PROXY")
