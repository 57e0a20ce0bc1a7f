"""A stored webhook's body as people read it."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from prosa.redaction import redact, redact_data

CHARACTERS = 20_000


def readable(body: bytes, content_type: str) -> tuple[str, bool]:
    """A body as text for people: JSON indented, forms a line a field, other bytes as they come; redacted and cut.

    :returns: the text, and whether something was left out.
    """
    raw = body[: 4 * CHARACTERS].decode("utf-8", "replace")
    try:
        if "urlencoded" in content_type:
            shown = "\n".join(
                f"{name} = {value}" for name, value in parse_qsl(raw, keep_blank_values=True, max_num_fields=500)
            )
            text = redact(shown)
        else:
            text = json.dumps(redact_data(json.loads(body)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = redact(raw)
    return text[:CHARACTERS], len(text) > CHARACTERS or len(raw) < len(body.decode("utf-8", "replace"))
