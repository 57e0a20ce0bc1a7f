"""Spans of OpenTelemetry, when an endpoint is set. They say how long and how dear, never what anybody wrote.

A span takes numbers, and names of the house's own making: ids, models, tools, outcomes. There is no way to put a text into
one, an exception leaves only its class, and the provider is ours alone: no other library's spans leave through it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from prosa import conf

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

log = logging.getLogger(__name__)

Value = str | int | float | bool | Decimal | None
NAMES = {
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
}
"""What OpenTelemetry calls these; everything else is ``prosa.`` and its name."""
MISSING = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed.\nRun: pip install 'prosa[otel]'"
_WORD = re.compile(r"[\w.:/@+-]{1,120}")


class Span:
    """A piece of work that is being measured; without telemetry it measures nothing."""

    def __init__(self, made: Any = None) -> None:
        self._made = made

    def note(self, **attributes: Value) -> None:
        """Say more about it."""
        if self._made is not None:
            self._made.set_attributes(_told(attributes))


_NOTHING: AbstractContextManager[Span] = contextlib.nullcontext(Span())
_walk: ContextVar[Span | None] = ContextVar("prosa_walk", default=None)
_provider: Any = None
_tracer: Any = None


def installed() -> bool:
    """Is what sends spans there?"""
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        return False
    return True


def start(processor: SpanProcessor | None = None) -> bool:
    """Measure from now on, in this process: to ``OTEL_EXPORTER_OTLP_ENDPOINT``, or to ``processor`` (tests).

    Without an endpoint nothing is imported. False when nothing is measured.
    """
    global _provider, _tracer  # noqa: PLW0603  one per process, as settings are
    endpoint = conf.settings().otlp_endpoint
    if _tracer is not None or (processor is None and not endpoint):
        return _tracer is not None
    if processor is None and not installed():
        log.warning(MISSING.replace("\n", " "))
        return False
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    if processor is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "prosa"}
    _provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("prosa")
    return True


def stop() -> None:
    """Send what is left and measure no more. Blocks until it is sent, or the exporter gives up."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()


def span(name: str, **attributes: Value) -> AbstractContextManager[Span]:
    """Measure the block that follows, within the one that is being measured."""
    return _NOTHING if _tracer is None else _open(name, attributes)


def note(**attributes: Value) -> None:
    """Say more about the outermost of the spans that are open here: the turn, the delivery."""
    walk = _walk.get()
    if walk is not None:
        walk.note(**attributes)


@contextlib.contextmanager
def _open(name: str, attributes: dict[str, Value]) -> Iterator[Span]:
    from opentelemetry.trace import Status, StatusCode

    started = _tracer.start_as_current_span(
        name, attributes=_told(attributes), record_exception=False, set_status_on_exception=False
    )
    with started as made:
        opened = Span(made)
        outermost = _walk.set(opened) if _walk.get() is None else None
        try:
            yield opened
        except BaseException as error:
            # The message of an error may quote a customer.
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            if outermost is not None:
                _walk.reset(outermost)


def _told(attributes: dict[str, Value]) -> dict[str, str | int | float | bool]:
    told: dict[str, str | int | float | bool] = {}
    for name, value in attributes.items():
        if value is None or value == "":
            continue
        if isinstance(value, Decimal):
            value = float(value)  # noqa: PLW2901
        # A word is a name; a sentence would be somebody's.
        told[NAMES.get(name, f"prosa.{name}")] = "…" if isinstance(value, str) and not _WORD.fullmatch(value) else value
    return told
