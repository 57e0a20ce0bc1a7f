"""Who signed a webhook. Constant time, on the raw bytes; a body that was parsed and dumped again never verifies.

Protocol facts: WhatsApp "Webhooks: validate payloads" (Meta), "Webhooks security" (Twilio); vectors in the tests.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

_TWILIO_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def meta(secrets: Iterable[str], body: bytes, header: str) -> bool:
    """``X-Hub-Signature-256``: HMAC-SHA256 of the body with an app secret, in lower-case hex after ``sha256=``.

    ``secrets``: the current one and, while it is being rotated, the previous one; empty ones never match.
    """
    if not header.startswith("sha256="):
        return False
    given = header[7:].encode("utf-8", "replace")
    valid = False
    for secret in secrets:
        if secret:
            valid |= hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256").hex().encode(), given)
    return valid


def identity(secret: str, user: str, given: str) -> bool:
    """Did the business's own site sign that its visitor is ``user``? HMAC-SHA256 of the id with the inbox's identity secret, in hex.

    Without a secret nothing is signed.
    """
    expected = hmac.digest(secret.encode(), user.encode(), "sha256").hex()
    return bool(secret) and hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace"))


def meta_handshake(verify_token: str, query: Mapping[str, str]) -> str | None:
    """The challenge to answer to Meta's ``GET``, or None when mode or token are wrong."""
    given = query.get("hub.verify_token", "").encode("utf-8", "replace")
    if not verify_token or query.get("hub.mode") != "subscribe":
        return None
    return query.get("hub.challenge", "") if hmac.compare_digest(verify_token.encode(), given) else None


def appsecret_proof(app_secret: str, token: str) -> str:
    """Graph's proof that who calls with ``token`` also knows the app's secret."""
    return hmac.digest(app_secret.encode(), token.encode(), "sha256").hex()


def twilio(
    secrets: Iterable[str], url: str, body: bytes, header: str, *, content_type: str = "", settings: str = ""
) -> bool:
    """``X-Twilio-Signature``: base64 of the HMAC of the public URL and the sorted form fields.

    ``url`` is the whole address as Twilio called it, with its query. Twilio is not consistent about the port, so both
    spellings count. A body that is no form is covered by ``bodySHA256`` in the query instead.
    ``settings`` is the header ``X-Twilio-Webhooks-Signature-Settings``, which names the algorithm (default SHA-1).
    """
    algorithm = _twilio_algorithm(settings)
    if not header or not algorithm:
        return False
    try:
        parts = urlsplit(url)
        spellings = (_without_port(parts), _with_port(parts))
    except ValueError:
        return False
    fields = ""
    claimed = parse_qs(parts.query).get("bodySHA256", [""])[0]
    if claimed and not content_type.startswith("application/x-www-form-urlencoded"):
        if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), claimed.encode("utf-8", "replace")):
            return False
    else:
        # Every field, also the empty ones; equal pairs once.
        pairs = parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True, errors="surrogateescape")
        fields = "".join(name + value for name, value in sorted(set(pairs)))
    given = header.encode("utf-8", "replace")
    valid = False
    for secret in secrets:
        for spelling in spellings if secret else ():
            signed = (spelling + fields).encode("utf-8", "surrogateescape")
            valid |= hmac.compare_digest(b64encode(hmac.digest(secret.encode(), signed, algorithm)), given)
    return valid


def _twilio_algorithm(settings: str) -> str:
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return _TWILIO_ALGORITHMS.get(value.strip().upper(), "")
    return "sha1"


def _without_port(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl() if parts.port else parts.geturl()


def _with_port(parts: SplitResult) -> str:
    port = "443" if parts.scheme == "https" else "80"
    return parts.geturl() if parts.port else parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
