"""Voice notes and pictures: written down or shown before the answer, honestly owned up to when that is not possible."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.walks.house import House, elsewhere
from tests.walks.payloads import ANA, image, said, text, written

from prosa.agents import runner
from prosa.business.models import Business
from prosa.contracts import Media
from prosa.conversations import dispatch
from prosa.conversations.media.hearing import UNHEARD_NOTE
from prosa.conversations.words import words
from prosa.costs.models import Budget, ModelPrice
from prosa.simulator import fake_llm, fake_speech
from prosa.simulator.fake_speech import voice_note

NOTE = voice_note("Vocês abrem no domingo?")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)
PDF = (Path(__file__).parents[1] / "knowledge" / "files" / "entrega.pdf").read_bytes()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    return tmp_path


def file(data: bytes, mime_type: str = "audio/ogg; codecs=opus") -> Any:
    """A file at the provider."""

    async def opened() -> Media:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        return Media(mime_type, len(data), "", "", chunks())

    return opened


def spoken(message_id: str, media_id: str, *beside: dict[str, Any], phone: str = ANA) -> bytes:
    """A voice note, and what comes in the same webhook."""
    content = {"mime_type": "audio/ogg; codecs=opus", "sha256": "", "id": media_id, "voice": True}
    when = str(int(time.time()))
    return written(
        [{"from": phone, "id": f"wamid.{message_id}", "timestamp": when, "type": "audio", "audio": content}, *beside]
    )


def heard(house: House) -> list[tuple[str, str]]:
    return house.rows("select hearing, transcript from prosa_conversations_attachment order by id")


def the_real_agent(house: House) -> None:
    async def think(turn: Any) -> Any:
        return await runner.run(turn)

    house.mind.answer = think


async def test_a_voice_note_and_a_text_of_one_burst_get_one_answer(voice: fake_speech.Control, house: House):
    house.carrier.files["v1"] = file(NOTE)
    voice.next("late-700ms")  # longer than the quiet period
    await house.work()
    await house.post(spoken("1", "v1", text("e no sábado?", "2")))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.carrier.texts() == ["eco: Vocês abrem no domingo? | e no sábado?"]
    assert [line.voice for line in house.mind.turns[-1].question] == [True, False]
    assert heard(house) == [("heard", "Vocês abrem no domingo?")]
    assert house.one("select text from prosa_conversations_message order by id limit 1") == "Vocês abrem no domingo?"
    assert voice.requests[-1].body["language"] == "pt"
    assert house.rows("select purpose, model, requests, unpriced_requests from prosa_costs_usageday") == [
        ("transcription", "openai:stub", 1, 1)
    ]
    assert house.outcomes() == ["answered"]


async def test_a_turn_without_files_waits_for_nothing(voice: fake_speech.Control, house: House):
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.one("select claim from prosa_conversations_dispatch where lane = 1") == 1


async def test_later_it_is_history_and_says_that_it_was_spoken(voice: fake_speech.Control, house: House):
    house.carrier.files["v1"] = file(NOTE)
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: len(house.carrier.sent) == 1)
    await house.post(said("obrigada", "2"))
    await house.until(lambda: len(house.carrier.sent) == 2)
    first = house.mind.turns[-1].history[0]
    assert (first.text, first.voice, first.files) == ("Vocês abrem no domingo?", True, ())


async def test_without_a_transcriber_the_customer_is_asked_to_write(
    voice: fake_speech.Control, environment: Callable[..., None], house: House
):
    environment(PROSA_TRANSCRIPTION_MODEL="")
    house.carrier.files["v1"] = file(NOTE)
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.carrier.sent)
    assert house.carrier.texts() == [words("pt-br")["unheard"]]
    assert house.mind.turns == []  # no model is asked what nobody heard
    assert heard(house) == [("unheard", "")]
    assert "PROSA_TRANSCRIPTION_MODEL" in house.one("select error from prosa_conversations_attachment")
    assert house.pending() == 0


async def test_with_words_beside_it_the_model_is_told_what_it_could_not_hear(
    voice: fake_speech.Control, environment: Callable[..., None], house: House
):
    environment(PROSA_TRANSCRIPTION_MODEL="")
    house.carrier.files["v1"] = file(NOTE)
    await house.work()
    await house.post(spoken("1", "v1", text("e o preço?", "2")))
    await house.until(lambda: house.carrier.sent)
    assert house.mind.asked() == [[UNHEARD_NOTE, "e o preço?"]]


async def test_without_a_model_the_answer_owns_up_itself(
    voice: fake_speech.Control, environment: Callable[..., None], house: House
):
    environment(PROSA_TRANSCRIPTION_MODEL="")
    the_real_agent(house)
    house.carrier.files |= {"v1": file(NOTE), "m1": file(PNG, "image/png")}
    await house.work()
    await house.post(spoken("1", "v1", text("qual o preço?", "2")))
    await house.until(lambda: len(house.carrier.sent) == 1)
    said_words = words("pt-br")
    assert house.carrier.texts()[0].startswith(said_words["unknown"])
    assert house.carrier.texts()[0].endswith(said_words["unheard"])
    await house.quiet()
    await house.post(image("3", "m1", ""))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert house.carrier.texts()[1] == said_words["unseen"]


@pytest.mark.parametrize("trouble", ["corrupt", "silence", "401"])
async def test_what_cannot_be_heard_is_owned_up_to_and_shown(voice: fake_speech.Control, house: House, trouble: str):
    house.carrier.files["v1"] = file(NOTE)
    voice.next(trouble)
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.carrier.sent)
    assert house.carrier.texts() == [words("pt-br")["unheard"]]
    assert house.one("select hearing from prosa_conversations_attachment") == "unheard"
    assert house.one("select error <> '' from prosa_conversations_attachment")


async def test_a_server_that_fails_for_a_moment_is_asked_again(voice: fake_speech.Control, house: House):
    house.carrier.files["v1"] = file(NOTE)
    voice.next("503", "drop")
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.carrier.sent)
    assert house.carrier.texts() == ["eco: Vocês abrem no domingo?"]
    assert len(voice.requests) == 3


async def test_a_slow_transcriber_holds_the_answer_back_up_to_the_limit(
    voice: fake_speech.Control, environment: Callable[..., None], house: House
):
    environment(PROSA_MEDIA_WAIT="0.3", PROSA_TRANSCRIPTION_MODEL="openai:stub-late-1500ms")
    house.carrier.files["v1"] = file(NOTE)
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.carrier.sent)
    assert house.carrier.texts() == [words("pt-br")["unheard"]]
    # It comes after the answer: stored, and nothing is answered twice.
    await house.until(lambda: heard(house) == [("heard", "Vocês abrem no domingo?")])
    await house.quiet()
    assert len(house.carrier.sent) == 1
    assert house.one("select text from prosa_conversations_message order by id limit 1") == "Vocês abrem no domingo?"


async def test_a_transcript_that_asks_for_a_person_gets_one(voice: fake_speech.Control, house: House):
    house.carrier.files["v1"] = file(voice_note("quero falar com um atendente"))
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.state() == "awaiting_agent")
    assert house.mind.turns == []


async def test_a_worker_killed_while_it_listens(voice: fake_speech.Control, house: House):
    house.carrier.files["v1"] = file(NOTE)
    voice.next("late-900ms")
    first = await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: voice.requests)
    await house.kill(first)
    await house.work()
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert house.carrier.texts() == ["eco: Vocês abrem no domingo?"]
    assert heard(house) == [("heard", "Vocês abrem no domingo?")]


async def test_an_exhausted_budget_pays_for_no_transcript(voice: fake_speech.Control, house: House, business: Business):
    from prosa.costs.models import Budget

    def spend() -> None:
        Budget.objects.create(business=business, day_hard=Decimal(0))

    await elsewhere(spend)
    house.carrier.files["v1"] = file(NOTE)
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.carrier.sent)
    assert not voice.requests
    assert "budget" in house.one("select error from prosa_conversations_attachment")


async def test_a_picture_reaches_a_model_that_sees(voice: fake_speech.Control, house: House, business: Business):
    house.do("update prosa_business_business set model = 'google:stub'")
    the_real_agent(house)
    house.carrier.files["m1"] = file(PNG, "image/png")
    await house.work()
    await house.post(image("1", "m1", ""))
    await house.until(lambda: house.carrier.sent)
    assert f"(image/png, {len(PNG)} bytes)" in house.carrier.texts()[0]
    await house.quiet()
    await house.post(said("e agora?", "2"))
    await house.until(lambda: len(house.carrier.sent) == 2)
    assert "image/png" not in house.carrier.texts()[1]  # history carries no files


async def test_a_document_is_read_to_a_model_that_cannot(voice: fake_speech.Control, house: House):
    house.do("update prosa_business_business set model = 'openai-chat:stub'")
    the_real_agent(house)
    told = "O documento que você mandou diz: R$ 19,90 de frete."  # the file's price, not ours
    fake_llm.control.say = lambda _prompt: told
    content = {"mime_type": "application/pdf", "sha256": "", "id": "m1", "filename": "nota.pdf"}
    message = {
        "from": ANA,
        "id": "wamid.1",
        "timestamp": str(int(time.time())),
        "type": "document",
        "document": content,
    }
    house.carrier.files["m1"] = file(PDF, "application/pdf")
    await house.work()
    await house.post(written([message]))
    await house.until(lambda: house.carrier.sent)
    asked = str(fake_llm.control.requests[-1].body["messages"][-1]["content"])
    assert f"PDF document of {len(PDF)} bytes called nota.pdf; its text follows" in asked
    assert "O frete custa R$ 19,90." in asked
    assert house.carrier.texts() == [told]


async def test_what_was_heard_costs_its_conversation_and_counts_against_its_limit(
    voice: fake_speech.Control, house: House, business: Business
):
    await ModelPrice.objects.acreate(
        pattern="openai:stub", input=Decimal(1_000_000), output=Decimal(1_000_000), valid_from=date(2020, 1, 1)
    )
    await Budget.objects.acreate(business=business, conversation_hard=Decimal("0.0001"))
    house.carrier.files |= {"v1": file(NOTE), "v2": file(NOTE)}
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: house.outcomes() == ["answered"])
    await house.quiet()
    ((purpose, cost),) = house.rows("select purpose, cost from prosa_conversations_expense")
    assert purpose == "transcription"
    assert cost > 0
    (conversation,) = house.rows("select id from prosa_conversations_conversation")[0]
    assert house.one(f"select prosa_conversations_spent({conversation})") == [cost, None]
    assert house.one("select sum(cost) from prosa_costs_usageday") == cost
    # The answer was made before it was known; the next voice note is not even heard.
    await house.post(spoken("2", "v2"))
    await house.until(lambda: len(house.outcomes()) == 2)
    await house.quiet()
    assert len(voice.requests) == 1
    assert "budget" in house.one("select error from prosa_conversations_attachment order by id desc limit 1")
    budget = house.one("select trace->'budget' from prosa_conversations_turn order by id desc limit 1")
    assert (budget["limit"], Decimal(budget["spent"])) == ("conversation", cost)
