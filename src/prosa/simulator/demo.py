"""Inboxes for a first look: real ones, whose providers are the simulator's doubles."""

from __future__ import annotations

import secrets
from typing import Any


def demo_inboxes(port: int) -> list[dict[str, Any]]:
    """Inboxes to make for a server on ``port``: ``kind``, ``name``, ``slug`` and ``credentials``.

    Secrets are random on each call: keep those of an inbox that exists already and renew only the address.
    """
    double = f"http://127.0.0.1:{port}/simulator"
    return [
        {
            "kind": "whatsapp_cloud",
            "name": "WhatsApp",
            "slug": "demo",
            "credentials": {
                "token": f"EAASIM{secrets.token_hex(24)}",
                "phone_number_id": "106500000000001",
                "app_secret": secrets.token_hex(16),
                "waba_id": "102200000000001",
                "graph_url": f"{double}/graph",
            },
        },
        {
            "kind": "twilio",
            "name": "WhatsApp (Twilio)",
            "slug": "demo",
            "credentials": {
                "account_sid": f"AC{secrets.token_hex(16)}",
                "auth_token": secrets.token_hex(16),
                "number": "+5511900000002",
                "api_url": f"{double}/twilio",
            },
        },
        {"kind": "rest", "name": "API", "slug": "demo", "credentials": {}},
    ]
