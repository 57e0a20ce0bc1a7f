"""The channels that come with Prosa."""

from __future__ import annotations

from collections.abc import Iterable

from prosa.channels.base import Provider
from prosa.hookspecs import hookimpl


@hookimpl
def channel_providers() -> Iterable[Provider]:
    """WhatsApp through Meta and through Twilio, and the REST API."""
    from prosa.channels.providers.rest import Rest
    from prosa.channels.providers.twilio import Twilio
    from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud

    return [WhatsAppCloud(), Twilio(), Rest()]
