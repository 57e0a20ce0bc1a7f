"""Replies spoken as voice notes: on request or by rule, once made for the same words, and text when they cannot be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from tests.walks.house import Carrier, House, elsewhere, says
from tests.walks.payloads import receipt, said
from tests.walks.test_voice import NOTE, file, spoken

from prosa.agents import audio
from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import InboxConfig, OutboundMessage, Sent, Turn, TurnResult
from prosa.conversations import dispatch
from prosa.conversations.media import voicing
from prosa.errors import PermanentError, TemporaryError
from prosa.simulator import fake_speech

ASK = "me manda um áudio: quanto custa?"
PRICE = "Custa *R$ 59,90* à vista."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    return tmp_path


@pytest.fixture
def bubbles(monkeypatch: pytest.MonkeyPatch, carrier: Carrier) -> list[OutboundMessage]:
    """Every bubble that was given to the provider, also those it refused."""
    given: list[OutboundMessage] = []

    async def send(_self: Any, _client: Any, inbox: InboxConfig, message: OutboundMessage) -> Sent:
        given.append(message)
        return await carrier.send(inbox, message)

    monkeypatch.setattr(WhatsAppCloud, "send", send)
    return given


async def a_price(_turn: Turn) -> TurnResult:
    return says("Custa **R$ 59,90** à vista.")


async def test_on_request_the_answer_is_a_voice_note(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    house.mind.answer = a_price
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    (only,) = bubbles
    assert only.kind == "audio"
    assert only.attachment is not None
    assert (only.attachment.mime_type, only.attachment.voice) == ("audio/ogg; codecs=opus", True)
    assert audio.is_opus(await asyncio.to_thread(Path(only.media_path).read_bytes))
    assert house.mind.turns[0].spoken
    asked = voice.requests[-1].body
    assert asked["input"] == "Custa cinquenta e nove reais e noventa centavos à vista."
    assert asked["response_format"] == "opus"
    assert house.sends() == [(PRICE, "sent")]
    assert house.rows("select transcript, voice, status from prosa_conversations_attachment") == [
        (PRICE, True, "stored")
    ]
    assert house.rows("select purpose, requests, input_tokens from prosa_costs_usageday") == [
        ("speech", 1, len(asked["input"]))
    ]


async def test_gemini_speaks_as_well(
    voice: fake_speech.Control, environment: Callable[..., None], house: House, bubbles: list[OutboundMessage]
):
    environment(PROSA_SPEECH_MODEL="google:gemini-3.8-flash-lite-tts")
    house.mind.answer = a_price
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    (only,) = bubbles
    assert only.kind == "audio"
    assert audio.is_opus(await asyncio.to_thread(Path(only.media_path).read_bytes))
    asked = voice.requests[-1].body["contents"][0]["parts"][0]
    assert asked["text"] == "Custa cinquenta e nove reais e noventa centavos à vista."
    assert house.sends() == [(PRICE, "sent")]
    ((purpose, model, spoken_tokens),) = house.rows("select purpose, model, output_tokens from prosa_costs_usageday")
    assert (purpose, model) == ("speech", "google:gemini-3.8-flash-lite-tts")
    assert spoken_tokens > 0


async def test_without_being_asked_it_writes_and_by_rule_it_speaks(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    house.carrier.files |= {"v1": file(NOTE), "v2": file(NOTE)}
    await house.work()
    await house.post(spoken("1", "v1"))
    await house.until(lambda: len(bubbles) == 1)
    await house.quiet()
    house.do("update prosa_business_business set voice_replies = 'alike', voice = 'nova'")
    await house.post(spoken("2", "v2"))
    await house.until(lambda: len(bubbles) == 2)
    await house.quiet()
    house.do("update prosa_business_business set voice_replies = 'never'")
    await house.post(said(ASK, "3"))
    await house.until(lambda: len(bubbles) == 3)
    assert [bubble.kind for bubble in bubbles] == ["text", "audio", "text"]
    assert [each.body["voice"] for each in voice.requests if each.path.endswith("/speech")] == ["nova"]


async def test_the_same_words_are_spoken_once(voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]):
    house.mind.answer = a_price
    await house.work()
    for number in (1, 2):
        await house.post(said(ASK, str(number)))
        await house.until(lambda wanted=number: len(bubbles) == wanted)
        await house.quiet()
    assert len(voice.requests) == 1
    assert bubbles[0].media_path == bubbles[1].media_path


@pytest.mark.parametrize("trouble", ["503", "mp3", "401", "late-5000ms"])
async def test_what_cannot_be_spoken_in_time_is_written(
    voice: fake_speech.Control,
    environment: Callable[..., None],
    house: House,
    bubbles: list[OutboundMessage],
    trouble: str,
):
    environment(PROSA_SPEECH_DEADLINE="0.5")
    house.mind.answer = a_price
    voice.next(trouble)
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert [(bubble.kind, bubble.text) for bubble in bubbles] == [("text", PRICE)]
    assert house.sends() == [(PRICE, "sent")]


async def test_a_refused_voice_note_goes_out_once_as_text(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    async def refuse() -> None:
        raise PermanentError("Media upload error.", code="131053")

    house.mind.answer = a_price
    house.carrier.next = [refuse]
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert [bubble.kind for bubble in bubbles] == ["audio", "text"]
    assert house.sends() == [(PRICE, "sent")]
    assert house.rows("select kind, payload ? 'speak' from prosa_conversations_message where direction = 'out'") == [
        ("text", False)
    ]
    assert house.one("select count(*) from prosa_conversations_attachment") == 0


async def test_a_voice_note_that_is_refused_later_goes_out_once_as_text(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    house.mind.answer = a_price
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    wamid = house.one("select provider_id from prosa_conversations_message where direction = 'out'")
    error = {"code": 131053, "title": "Media upload error"}
    for _ in range(2):
        await house.post(receipt("failed", wamid, error=error))
    await house.until(lambda: len(bubbles) == 2)
    await house.quiet()
    assert [(bubble.kind, bubble.text) for bubble in bubbles] == [("audio", PRICE), ("text", PRICE)]
    assert house.sends() == [(PRICE, "failed"), (PRICE, "sent")]
    wamid = house.one("select provider_id from prosa_conversations_message where status = 'sent'")
    await house.post(receipt("failed", wamid, error=error))
    await house.until(lambda: [status for _, status in house.sends()] == ["failed", "failed"])
    await house.quiet()
    assert len(bubbles) == 2


async def test_text_that_is_refused_too_has_failed(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    async def refuse() -> None:
        raise PermanentError("No.", code="131026")

    house.mind.answer = a_price
    house.carrier.next = [refuse, refuse]
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.sends() and house.sends()[0][1] == "failed")
    assert [bubble.kind for bubble in bubbles] == ["audio", "text"]


async def test_a_worker_killed_while_it_speaks(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    house.mind.answer = a_price
    voice.next("late-900ms")
    first = await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: voice.requests)
    await house.kill(first)
    await house.work()
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    assert [bubble.kind for bubble in bubbles] == ["audio"]
    assert house.sends() == [(PRICE, "sent")]


async def test_a_person_who_takes_over_meanwhile_is_not_talked_over(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    from prosa.conversations import ownership

    house.mind.answer = a_price
    voice.next("late-900ms")
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: voice.requests)
    await elsewhere(ownership.take, house.conversation(), "user:1")
    await house.quiet()
    assert bubbles == []
    assert house.sends() == [(PRICE, "withdrawn")]


async def test_provider_trouble_is_tried_again_as_the_same_voice_note(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    async def busy() -> None:
        raise TemporaryError("Not now.", retry_after=0.01)

    house.mind.answer = a_price
    house.carrier.next = [busy]
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    assert [bubble.kind for bubble in bubbles] == ["audio", "audio"]
    assert len(voice.requests) == 1


async def test_old_voice_notes_are_deleted_and_their_words_stay(
    voice: fake_speech.Control, house: House, bubbles: list[OutboundMessage]
):
    house.mind.answer = a_price
    await house.work()
    await house.post(said(ASK, "1"))
    await house.until(lambda: house.carrier.sent)
    await house.quiet()
    name = house.one("select file from prosa_conversations_attachment")
    await elsewhere(voicing.forget_spoken)
    assert default_storage.exists(name)
    house.do(
        "update prosa_conversations_message set created_at = %s where direction = 'out'",
        timezone.now() - timedelta(days=31),
    )
    await elsewhere(voicing.forget_spoken)
    assert not default_storage.exists(name)
    assert house.rows("select status, file, transcript from prosa_conversations_attachment") == [("expired", "", PRICE)]
