"""Log lines are parseable, and hold no secret and no personal datum."""

from __future__ import annotations

import json
import logging
import logging.config

import pytest

from prosa.server.logging import JsonFormatter, TextFormatter, configuration


def record(message: str, *arguments: object, exc_info=None, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "prosa.test", "levelname": "INFO", "msg": message, "args": arguments, "exc_info": exc_info}
    )
    made.__dict__.update(extra)
    return made


def test_json_lines_carry_extras_and_hide_what_they_must():
    line = JsonFormatter().format(
        record("to %s in\n%d ms", "+55 11 91234-5678", 12, conversation=7, token="abc", nested={"password": "x"})
    )
    assert "\n" not in line
    data = json.loads(line)
    assert data["message"] == "to [phone] in\n12 ms"
    assert (data["level"], data["logger"], data["conversation"], data["token"]) == ("INFO", "prosa.test", 7, "[secret]")
    assert data["nested"] == {"password": "[secret]"}


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_tracebacks_are_redacted(formatter):
    error = ValueError("Authorization: Bearer abcdef123456 of maria@exemplo.com.br")
    line = formatter.format(record("failed", exc_info=(ValueError, error, None)))
    assert "ValueError" in line
    assert "abcdef123456" not in line
    assert "maria@" not in line


def test_objects_that_json_does_not_know_are_written_as_text():
    data = json.loads(JsonFormatter().format(record("x", thing={1, 2}, request=object())))
    assert data["thing"] == "{1, 2}"
    assert "request" not in data


def test_configuration_is_accepted_by_logging(monkeypatch):
    made = configuration("warning", "json")
    assert made["root"]["level"] == "WARNING"
    assert made["handlers"]["stderr"]["formatter"] == "json"
    logging.config.DictConfigurator(made)
