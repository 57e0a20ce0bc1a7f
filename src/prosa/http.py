"""The outbound HTTP client: deadlines, SSRF guard, our errors. To be completed by the channels work."""

from __future__ import annotations


class Client:
    """One aiohttp session per process."""
