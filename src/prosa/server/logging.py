"""Log lines: JSON for machines, text for people, secrets and personal data for nobody (``prosa.redaction``)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from prosa.redaction import redact, redact_data

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_WITHHELD = frozenset({"request", "response"})
"""Django hangs these objects on records; nothing of them belongs into a line."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``at`` (UTC), ``level``, ``logger``, ``message``, whatever came as ``extra``, ``error`` (a traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        """Put a record into words."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        extra = {name: value for name, value in record.__dict__.items() if name not in _OWN | _WITHHELD}
        line |= redact_data(extra)
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=lambda value: redact(str(value)))


class TextFormatter(logging.Formatter):
    """``02:07:45 WARNING prosa.queue message``, then a traceback when there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Put a record into words."""
        return redact(super().format(record))


def configuration(level: str, form: str) -> dict[str, Any]:
    """The ``LOGGING`` of Django for ``PROSA_LOG_LEVEL`` and ``PROSA_LOG_FORMAT``. Lines go to standard error."""
    chosen = form if form in {"json", "text"} else "text" if sys.stderr.isatty() else "json"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}, "text": {"()": TextFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": chosen}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            # Django's own handlers would print a second, unredacted line and mail it.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            # A stranger's wrong Host is no error of ours; its 400 page says what to set.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "procrastinate": {"level": "WARNING"},
            "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "httpx": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
