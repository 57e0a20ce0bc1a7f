"""``prosa apikey new``."""

from __future__ import annotations

from prosa.channels.models import ApiKey, Inbox
from prosa.errors import ConfigurationError


def issue(name: str, slug: str | None) -> str:
    """Make a key for the REST inbox ``slug``, or for the only one there is. Returns the key, which cannot be read again.

    :raises ConfigurationError: no such inbox, or several and none named.
    """
    inboxes = Inbox.objects.filter(kind="rest")
    found = list(inboxes.filter(slug=slug) if slug else inboxes)
    if len(found) != 1:
        known = ", ".join(inboxes.values_list("slug", flat=True)) or "none yet"
        asked = f"There is no REST inbox {slug!r}." if slug else "Which REST inbox?"
        raise ConfigurationError(f"{asked}\nName one with --inbox: {known}. `prosa setup` makes the first.")
    return ApiKey.issue(found[0], name)[1]
