"""Who the client is when reverse proxies stand in front: ``PROSA_TRUSTED_PROXIES`` of them may be believed."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any


def believe(scope: MutableMapping[str, Any], hops: int) -> None:
    """Set the ASGI scope's ``client`` and ``scheme`` from ``X-Forwarded-For`` and ``-Proto``.

    Each proxy appends the address it saw, so the client is the entry ``hops`` from the right; what stands left of it the
    client may have made up. With ``hops`` 0 both headers are ignored.
    """
    if hops <= 0:
        return
    addresses = _values(scope, b"x-forwarded-for")
    if len(addresses) >= hops:
        scope["client"] = (addresses[-hops], 0)
    schemes = _values(scope, b"x-forwarded-proto")
    if schemes:
        # Proxies overwrite rather than append it; a list comes from several that append.
        scheme = schemes[-hops] if len(schemes) >= hops else schemes[0]
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme


def _values(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    joined = b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")
    return [part for raw in joined.split(",") if (part := raw.strip())]
