"""Which addresses may be called: the open internet, and what the operator named. The guard against SSRF."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from prosa.errors import NotAllowed

NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = tuple[str, int]
"""Host (lower case, without a last dot) and port."""


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Is it an address of the open internet? IPv6 forms that carry an IPv4 address are judged by that one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64 or (inner is None and int(address) >> 32 == 0 and int(address) > 1):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class Refused(OSError):
    """All addresses of a name are private."""


def guarded_resolver(may_be_private: Callable[[Address], bool]) -> Any:
    """An aiohttp resolver that keeps only public addresses of names that may not be private.

    Its ``resolve`` raises :class:`Refused` when nothing is left.
    """
    from aiohttp.abc import ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class Guarded(ThreadedResolver):
        """Resolves in a thread, as the system does, and keeps only public addresses."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            if may_be_private((host.lower().rstrip("."), port)):
                return found
            public = [one for one in found if is_public(ipaddress.ip_address(one["host"]))]
            if found and not public:
                raise Refused(refusal(host))
            return public

    return Guarded()


def canonical(url: str) -> str:
    """The URL as aiohttp will read it. Unicode has digits and dots of its own, and ``①②⑦.0.0.1`` is called as 127.0.0.1."""
    from yarl import URL

    try:
        return str(URL(url))
    except ValueError:
        raise NotAllowed("The address is not a valid URL.\nCorrect it.") from None


def address_of(parts: SplitResult) -> Address | None:
    """Whom a URL calls; None when it is not http(s) or names nobody."""
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    return host.rstrip("."), port or (443 if parts.scheme == "https" else 80)


@lru_cache(maxsize=1)
def _addresses_of(urls: tuple[str, ...]) -> frozenset[Address]:
    return frozenset(address for url in urls if (address := address_of(urlsplit(url))))


def configured() -> frozenset[Address]:
    """What the operator named in the environment, and in development this server, whose simulator plays the providers."""
    from prosa.conf import settings  # pydantic takes its time; whoever only looks at a provider does not need it

    known = settings()
    urls = (
        known.whatsapp_graph_url,
        known.twilio_api_url,
        known.public_url,
        known.openai_base_url,
        known.gemini_base_url,
        known.anthropic_base_url,
    )
    ourselves = tuple(f"http://{host}:{known.port}" for host in ("127.0.0.1", "localhost")) if known.development else ()
    return _addresses_of(urls + ourselves)


def refusal(host: str) -> str:
    """What is said when an address may not be called."""
    return f"{host} is a private or local address.\nOnly addresses named in the settings may be private."
