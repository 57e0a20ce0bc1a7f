"""Who may use the simulator: this machine only, by a name that is this machine's.

The name is checked because a hostile page can point a name of its own at 127.0.0.1 (DNS rebinding); the browser
then sends that name in ``Host``. Whatever a proxy or tunnel forwards is refused, for some of them rewrite ``Host`` to
the address they call, and everybody in the world would look like this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from prosa.simulator.wire import Scope

FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "via"})
"""Headers of proxies and tunnels, in lower case."""


def allows(client: str, host: str, headers: Iterable[str] = ()) -> bool:
    """May a caller at address ``client`` that asked for ``Host: host``, with headers of these names, come in?"""
    return _loopback(client) and _names_loopback(host) and FORWARDED.isdisjoint(name.lower() for name in headers)


def allows_scope(scope: Scope) -> bool:
    """The same for an ASGI scope."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return allows((scope.get("client") or ("", 0))[0], host, (name.decode("latin-1") for name, _ in scope["headers"]))


def _loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address == ""  # a Unix socket has no address
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _names_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return name != "" and _loopback(name)
