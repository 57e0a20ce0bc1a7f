from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from prosa import conf
from prosa.agents import runner
from prosa.contracts import Line, Turn
from prosa.simulator import fake_llm

NOW = dt.datetime(2026, 11, 20, 15, 4, tzinfo=dt.timezone(dt.timedelta(hours=-3), "BRT"))


@pytest.fixture(scope="session")
def llm_address() -> Iterator[str]:
    with fake_llm.running() as address:
        yield address


@pytest.fixture
def control() -> Iterator[fake_llm.Control]:
    fake_llm.control.reset()
    yield fake_llm.control
    fake_llm.control.reset()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set variables (None: unset) and let the settings be read again."""

    def put(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        conf.settings.cache_clear()

    yield put
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
async def models(
    llm_address: str, control: fake_llm.Control, environment: Callable[..., None]
) -> AsyncIterator[fake_llm.Control]:
    """Every provider that has a double, pointed at it. Gives the double's control."""
    environment(
        OPENAI_BASE_URL=f"{llm_address}/v1",
        OPENAI_API_KEY="sk-test-0123456789",
        GOOGLE_GEMINI_BASE_URL=llm_address,
        GEMINI_API_KEY="AIzaTest0123456789",
    )
    yield control
    await runner.close()


@pytest.fixture
def turn() -> Callable[..., Turn]:
    """A turn of a cosmetics shop. Every field can be given; ``history`` as (author, text) pairs."""

    def make(
        question: str | tuple[str, ...] = "Qual o prazo de entrega?",
        *,
        history: Sequence[tuple[str, str]] = (),
        **fields: Any,
    ) -> Turn:
        texts = (question,) if isinstance(question, str) else question
        defaults: dict[str, Any] = {
            "business_name": "Flor & Pele",
            "locale": "pt-BR",
            "channel": "WhatsApp",
            "question": tuple(Line("customer", text, NOW) for text in texts),
            "history": tuple(Line(author, text, NOW) for author, text in history),
            "now": NOW,
            "guidelines": "- A entrega leva até 7 dias úteis.\n- Aceitamos cartão e Pix.",
            "guideline_version": 3,
            "model": "openai-chat:stub",
        }
        return Turn(**(defaults | fields))

    return make
