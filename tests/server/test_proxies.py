"""Only as many proxies are believed as were said to be there."""

from __future__ import annotations

import pytest

from prosa.server.proxies import believe


def scope(**headers: str) -> dict:
    return {
        "client": ("10.0.0.9", 5),
        "scheme": "http",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize(
    ("hops", "forwarded", "client"),
    [
        (0, "1.1.1.1", "10.0.0.9"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (3, "1.1.1.1", "10.0.0.9"),
        (1, "", "10.0.0.9"),
    ],
)
def test_the_client_is_counted_from_the_right(hops, forwarded, client):
    asked = scope(x_forwarded_for=forwarded)
    believe(asked, hops)
    assert asked["client"][0] == client


@pytest.mark.parametrize(
    ("hops", "proto", "scheme"),
    [
        (0, "https", "http"),
        (1, "https", "https"),
        (1, "javascript", "http"),
        (2, "https, http", "https"),
        (2, "https", "https"),
    ],
)
def test_the_scheme(hops, proto, scheme):
    asked = scope(x_forwarded_proto=proto)
    believe(asked, hops)
    assert asked["scheme"] == scheme
