"""Credentials at rest: a JSON field whose database value is ciphertext.

Fernet (AES-128-CBC with HMAC-SHA256), keys derived from Django's ``SECRET_KEY`` with HKDF; the standalone takes
it from ``PROSA_SECRET_KEY``. Values written under an earlier key (``SECRET_KEY_FALLBACKS``) still open; saving writes the
current one.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

from prosa.errors import ConfigurationError


@lru_cache(maxsize=8)
def _box(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(secret))) for secret in secrets])


def _derive(secret: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"prosa credentials v1").derive(secret.encode())


def _current() -> MultiFernet:
    return _box((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def encrypt(value: dict[str, Any]) -> str:
    """Seal a JSON object."""
    return _current().encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()


def decrypt(sealed: str) -> dict[str, Any]:
    """Open what :func:`encrypt` made.

    :raises ConfigurationError: no known key opens it.
    """
    if not sealed:
        return {}
    try:
        opened: dict[str, Any] = json.loads(_current().decrypt(sealed.encode()))
    except InvalidToken:
        raise ConfigurationError(
            "Stored credentials cannot be opened with PROSA_SECRET_KEY (in a host project SECRET_KEY).\n"
            "Put the key they were saved with into PROSA_SECRET_KEY_FALLBACKS (SECRET_KEY_FALLBACKS), or enter them again."
        ) from None
    return opened


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedJSONField(_TextField):
    """A JSON object, sealed in the database and never shown by the admin."""

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> dict[str, Any] | None:
        """Open on load."""
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: Any) -> str | None:
        """Seal on save."""
        return None if value is None else encrypt(dict(value))

    def to_python(self, value: Any) -> Any:
        """Accept a JSON text from a form or fixture."""
        return json.loads(value) if isinstance(value, str) and value else value

    def value_to_string(self, obj: models.Model) -> str:
        """Serialisers (``dumpdata``) get the sealed text."""
        return self.get_prep_value(self.value_from_object(obj)) or ""
