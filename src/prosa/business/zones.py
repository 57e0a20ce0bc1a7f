"""Time zones by their IANA name."""

from __future__ import annotations

from zoneinfo import ZoneInfo


def known(name: str) -> bool:
    """Whether Python has a zone of this name; case counts."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def zone_named(name: str | None) -> ZoneInfo:
    """The zone of this name; UTC when there is none."""
    return ZoneInfo(name if name and known(name) else "UTC")
