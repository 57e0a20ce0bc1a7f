"""Where e-mail goes, from ``PROSA_EMAIL_URL``, as Django's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from prosa.errors import ConfigurationError


def mail_settings(url: str, sender: str, catcher: Path | None = None) -> dict[str, Any]:
    """``EMAIL_…`` and ``DEFAULT_FROM_EMAIL``. Without an address nothing is ever sent; what would be is written to files below
    ``catcher`` when there is one.

    :raises ConfigurationError: the address is none of a mail server.
    """
    if not url and catcher is not None:
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "EMAIL_FILE_PATH": str(catcher),
            "DEFAULT_FROM_EMAIL": sender or "prosa@localhost",
        }
    if not url:
        return {"EMAIL_HOST": ""}
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == -1:
        raise ConfigurationError(
            "PROSA_EMAIL_URL: is not the address of a mail server.\nWrite smtp://user:password@host:587, or smtps:// for port 465."
        )
    secure = parts.scheme == "smtps"
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or (465 if secure else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": secure,
        # On a machine of one's own (port 25) there may be no certificate.
        "EMAIL_USE_TLS": not secure and port != 25,
        "EMAIL_TIMEOUT": 15,
        "DEFAULT_FROM_EMAIL": sender or unquote(parts.username or "") or f"prosa@{parts.hostname}",
    }
