"""Spans tell how long and how dear; no word of anybody is in them."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from prosa import conf, telemetry


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is measured from here on."""
    exporter = InMemorySpanExporter()
    assert telemetry.start(SimpleSpanProcessor(exporter))
    yield exporter
    telemetry.stop()


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_spans_nest_and_the_outermost_hears_notes(spans: InMemorySpanExporter):
    with telemetry.span("turn", conversation=7), telemetry.span("model", model="openai-chat:m") as inner:
        inner.note(input_tokens=12, cost=Decimal("0.5"), unknown=None)
        telemetry.note(outcome="answered")
    found = named(spans)
    assert dict(found["turn"].attributes or {}) == {"prosa.conversation": 7, "prosa.outcome": "answered"}
    assert dict(found["model"].attributes or {}) == {
        "gen_ai.request.model": "openai-chat:m",
        "gen_ai.usage.input_tokens": 12,
        "prosa.cost": 0.5,
    }
    assert found["model"].parent == found["turn"].context
    telemetry.note(outcome="nobody listens")


def test_neither_errors_nor_values_carry_a_sentence(spans: InMemorySpanExporter):
    with pytest.raises(ValueError, match="secret"), telemetry.span("tool", tool="meu cpf é secreto"):
        raise ValueError("the secret words of a customer")
    told = named(spans)["tool"].to_json()
    assert "secret" not in told
    assert "customer" not in told
    assert "ValueError" in told


def test_without_an_endpoint_nothing_is_measured_or_imported():
    code = (
        "import sys; from prosa import telemetry; assert not telemetry.start()\n"
        "with telemetry.span('turn') as span: span.note(outcome='x'); telemetry.note(outcome='y')\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')], 'imported'"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_an_endpoint_without_the_package_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(telemetry, "installed", lambda: False)
    conf.settings.cache_clear()
    try:
        assert telemetry.start() is False
    finally:
        monkeypatch.undo()
        conf.settings.cache_clear()
    assert "pip install 'prosa[otel]'" in caplog.text


@pytest.mark.django_db
def test_the_doctor_names_the_missing_package(monkeypatch: pytest.MonkeyPatch):
    from prosa.conversations import checks

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    conf.settings.cache_clear()
    try:
        assert not [found for found in checks.doctor_checks() if "OpenTelemetry" in found.text]
        monkeypatch.setattr(telemetry, "installed", lambda: False)
        assert [found.fix for found in checks.doctor_checks() if "OpenTelemetry" in found.text] == [
            "Run: pip install 'prosa[otel]'"
        ]
    finally:
        monkeypatch.undo()
        conf.settings.cache_clear()


def test_spans_reach_the_endpoint(monkeypatch: pytest.MonkeyPatch):
    heard: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{served.server_address[1]}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        conf.settings.cache_clear()
        try:
            assert telemetry.start()
            with telemetry.span("turn", conversation=7):
                pass
            telemetry.stop()
        finally:
            monkeypatch.undo()
            conf.settings.cache_clear()
            served.shutdown()
    assert [path for path, _ in heard] == ["/v1/traces"]
    body = heard[0][1]
    assert b"prosa.conversation" in (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
