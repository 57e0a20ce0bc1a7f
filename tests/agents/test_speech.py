"""What voice notes become, against the doubles over real HTTP."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import av
import pytest
import uvicorn

from prosa import conf, plugins
from prosa.agents import audio, llm, opus, speech, voice_wire
from prosa.errors import BadInput, ConfigurationError, PermanentError, SlowDown, TemporaryError, TooLarge
from prosa.hookspecs import hookimpl
from prosa.simulator import fake_speech

HEARERS = ("openai:stub", "google:stub")
NOTE = fake_speech.voice_note("Vocês abrem no domingo?")


@pytest.fixture
async def double(environment: Callable[..., None]) -> AsyncIterator[fake_speech.Control]:
    """Both servers' doubles on a port, and the settings that point at them."""
    fake_speech.control.reset()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(fake_speech.app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment(
            OPENAI_BASE_URL=f"{address}/v1",
            OPENAI_API_KEY="sk-test-0123456789",
            GOOGLE_GEMINI_BASE_URL=address,
            GEMINI_API_KEY="AIzaTest0123456789",
        )
        yield fake_speech.control
        await llm.close()
        server.should_exit = True
        await serving
    fake_speech.control.reset()


@pytest.mark.parametrize("model", HEARERS)
async def test_a_voice_note_becomes_its_words(double: fake_speech.Control, model: str) -> None:
    heard = await speech.transcribe(NOTE, "audio/ogg; codecs=opus", "pt-BR", model=model)

    assert heard.text == "Vocês abrem no domingo?"
    assert heard.reason == ""
    assert heard.seconds == audio.seconds(NOTE)
    assert heard.usage.requests == 1
    assert heard.usage.input_tokens > 0
    assert double.requests[-1].audio == NOTE
    assert double.requests[-1].mime == "audio/ogg"


async def test_openai_is_told_the_language_and_a_name_it_knows(double: fake_speech.Control) -> None:
    await speech.transcribe(NOTE, "application/octet-stream", "es_MX", model="openai:stub")

    asked = double.requests[-1]
    assert asked.body == {"model": "stub", "response_format": "json", "language": "es"}
    assert asked.name == "voice.ogg"


async def test_whisper_tells_language_and_length(double: fake_speech.Control) -> None:
    heard = await speech.transcribe(b"ID3" + bytes(8000), "audio/mpeg", "", model="openai:whisper-1")

    assert heard.language == "portuguese"
    assert heard.seconds is not None
    assert heard.usage.cost is None
    assert "language" not in double.requests[-1].body


@pytest.mark.parametrize("model", HEARERS)
@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("401", PermanentError),
        ("429", SlowDown),
        ("quota", PermanentError),
        ("500", TemporaryError),
        ("503", TemporaryError),
        ("drop", TemporaryError),
        ("malformed", TemporaryError),
    ],
)
async def test_errors_say_whether_to_try_again(
    double: fake_speech.Control, model: str, word: str, error: type[Exception]
) -> None:
    double.next(word)
    with pytest.raises(error) as raised:
        await speech.transcribe(NOTE, "audio/ogg", "pt-BR", model=model)
    assert isinstance(raised.value, TemporaryError) is issubclass(error, TemporaryError)
    if isinstance(raised.value, SlowDown):
        assert raised.value.retry_after == 7


async def test_a_late_answer_is_a_temporary_error(double: fake_speech.Control) -> None:
    double.next("late-1000ms")
    with pytest.raises(TemporaryError, match="No answer within"):
        await speech.transcribe(NOTE, "audio/ogg", "pt-BR", model="openai:stub", deadline=0.05)


@pytest.mark.parametrize("model", HEARERS)
@pytest.mark.parametrize(("word", "reason"), [("corrupt", "damaged"), ("silence", "silence")])
async def test_audio_without_use_is_no_error(double: fake_speech.Control, model: str, word: str, reason: str) -> None:
    double.next(word)
    heard = await speech.transcribe(NOTE, "audio/ogg", "pt-BR", model=model)

    assert (heard.text, heard.reason) == ("", reason)


async def test_a_refusal_of_gemini_is_told(double: fake_speech.Control) -> None:
    double.next("refuse")

    assert (await speech.transcribe(NOTE, "", "pt-BR", model="google:stub")).reason == "refused"


@pytest.mark.parametrize("credit", ["Legendas pela comunidade Amara.org", "Subtítulos por la comunidad de Amara.org"])
async def test_the_credits_whisper_hears_in_silence_are_silence(double: fake_speech.Control, credit: str) -> None:
    double.hears = credit
    assert (await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")).reason == "silence"

    double.hears = "o site amara.org é de vocês? queria saber se as legendas do vídeo " + "que comprei " * 8
    assert (await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")).text.startswith("o site")


def long_note() -> bytes:
    note = fake_speech.voice_note("oi", seconds=1)
    at = note.rfind(b"OggS") + 6
    return note[:at] + struct.pack("<q", int((speech.MAX_SECONDS + 1) * 48_000)) + note[at + 8 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"MZ\x90 a program", "format"),
        (b"#!AMR\n" + bytes(40), "format"),
        (b"OggS" + bytes(speech.MAX_BYTES), "large"),
        (long_note(), "long"),
    ],
)
@pytest.mark.parametrize("model", HEARERS)
async def test_what_cannot_be_used_is_not_sent(
    double: fake_speech.Control, model: str, data: bytes, reason: str
) -> None:
    heard = await speech.transcribe(data, "audio/ogg", "pt-BR", model=model)

    assert (heard.text, heard.reason) == ("", reason)
    assert not double.requests


async def test_a_server_that_keeps_failing_is_left_alone_and_the_chat_is_not(double: fake_speech.Control) -> None:
    double.next(*["503"] * 5)
    for _ in range(5):
        with pytest.raises(TemporaryError):
            await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")
    with pytest.raises(TemporaryError, match="left alone"):
        await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")
    assert len(double.requests) == 5
    assert llm.find("openai:stub").breaker.allows()


async def test_bad_audio_does_not_open_the_breaker(double: fake_speech.Control) -> None:
    double.next(*["corrupt"] * 6)
    for _ in range(6):
        await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")

    assert (await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")).text


@pytest.mark.parametrize("model", ["", "openai:", "whisper", "anthropic:claude", "offline"])
async def test_a_wrong_model_is_a_configuration_error(double: fake_speech.Control, model: str) -> None:
    with pytest.raises(ConfigurationError):
        await speech.transcribe(NOTE, "", "pt-BR", model=model)


async def test_openai_itself_wants_a_key(environment: Callable[..., None]) -> None:
    environment(OPENAI_BASE_URL=None, OPENAI_API_KEY=None)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await speech.transcribe(NOTE, "", "pt-BR", model="openai:whisper-1")
    await llm.close()


class Local:
    """A plug-in's transcriber."""

    provider = "local"

    async def transcribe(
        self, data: bytes, mime: str, locale: str, *, model: str, deadline: float
    ) -> speech.Transcript:
        return speech.Transcript(f" {mime} {locale} {model} {len(data)}\x00 ")


class Plugin:
    @hookimpl
    def transcribers(self) -> list[Local]:
        return [Local()]


async def test_a_plug_in_can_transcribe() -> None:
    plugin = Plugin()
    plugins.manager().register(plugin)
    try:
        heard = await speech.transcribe(NOTE, "x/y", "en", model="local:tiny")
    finally:
        plugins.manager().unregister(plugin)

    assert heard.text == f"audio/ogg en tiny {len(NOTE)}"
    assert heard.seconds == audio.seconds(NOTE)


async def test_nothing_that_was_said_is_logged(double: fake_speech.Control, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "prosa")
    double.next("", "500", "corrupt", "", "401")
    await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")
    with pytest.raises(TemporaryError):
        await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")
    await speech.transcribe(NOTE, "", "pt-BR", model="openai:stub")
    await speech.speak("segredo", "", "pt-BR", model="openai:stub")
    with pytest.raises(PermanentError):
        await speech.speak("segredo", "", "pt-BR", model="openai:stub")

    assert "refused" in caplog.text
    assert not any(word in caplog.text for word in ("domingo", "segredo", "sk-test"))


@pytest.mark.parametrize("model", ["openai:gpt-4o-mini-tts", "openai:tts-1"])
async def test_a_text_becomes_a_voice_note(double: fake_speech.Control, model: str) -> None:
    spoken = await speech.speak("São dez reais.", "nova", "pt-BR", model=model)

    assert spoken.data == fake_speech.voice_note("São dez reais.")
    assert spoken.mime == "audio/ogg; codecs=opus"
    assert spoken.seconds == audio.seconds(spoken.data)
    sent = double.requests[-1].body
    assert (sent["voice"], sent["response_format"]) == ("nova", "opus")
    assert ("Portuguese (BR)" in sent.get("instructions", "")) is ("gpt" in model)


async def test_a_file_that_is_no_voice_note_is_refused(double: fake_speech.Control) -> None:
    double.next("mp3")
    with pytest.raises(PermanentError, match="audio/mpeg"):
        await speech.speak("oi", "", "pt-BR", model="openai:stub")


@pytest.mark.parametrize("model", ["gemini-3.8-flash-lite-tts", "gemini-2.5-flash-preview-tts"])
async def test_gemini_speaks_and_it_becomes_opus(double: fake_speech.Control, model: str) -> None:
    text = "São dez reais, e o prazo é de três dias úteis."
    spoken = await speech.speak(text, "Puck", "pt-BR", model=f"google:{model}")

    assert audio.is_opus(spoken.data)
    assert spoken.mime == "audio/ogg; codecs=opus"
    with av.open(io.BytesIO(spoken.data)) as note:
        assert (note.streams.audio[0].codec_context.name, note.streams.audio[0].channels) in {
            ("opus", 1),
            ("libopus", 1),
        }
        loudest = max(max(memoryview(bytes(frame.planes[0])).cast("f")) for frame in note.decode(audio=0))
    assert loudest > 0.02  # it hums: the samples were read as what they are
    asked = double.requests[-1].body
    assert asked["generationConfig"]["responseModalities"] == ["AUDIO"]
    assert asked["generationConfig"]["speechConfig"] == {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}}
    (part,) = asked["contents"][0]["parts"]
    assert spoken.seconds == pytest.approx(len(part["text"]) / 15, abs=0.1)
    if "3.8" in model:  # it reads all of its text aloud
        assert part["text"] == text
        assert "Portuguese (BR)" in part["speechMetadata"]["style"]
    else:
        assert part.keys() == {"text"}
        assert part["text"].endswith(f": {text}")
        assert "Portuguese (BR)" in part["text"]


async def test_what_gemini_spoke_is_paid_as_sound(double: fake_speech.Control, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = await speech.speak("São dez reais.", "", "pt-BR", model="google:gemini-3.8-flash-tts")

    assert spoken.usage is not None
    assert spoken.usage.output_tokens > 0
    assert spoken.usage.cost is None  # a server of one's own has prices of its own
    told = {"promptTokenCount": 1_000, "candidatesTokenCount": 1_000}
    sound = {"candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 1_000}]}
    priced = voice_wire.usage_of_gemini(told | sound, "gemini-3.8-flash-tts", priced=True)
    assert priced.cost is not None
    assert priced.cost > Decimal(0)


@pytest.mark.parametrize(("voice", "asked"), [("", "Kore"), ("nova", "Kore"), ("Leda", "Leda")])
async def test_a_voice_of_openais_is_none_of_geminis(double: fake_speech.Control, voice: str, asked: str) -> None:
    await speech.speak("oi", voice, "pt-BR", model="google:gemini-3.8-flash-tts")

    config = double.requests[-1].body["generationConfig"]["speechConfig"]["voiceConfig"]
    assert config["prebuiltVoiceConfig"]["voiceName"] == asked


@pytest.mark.parametrize(
    ("word", "error"),
    [("silence", TemporaryError), ("refuse", TemporaryError), ("mp3", PermanentError), ("503", TemporaryError), ("401", PermanentError),
     ("malformed", TemporaryError)],
)  # fmt: skip
async def test_a_voice_gemini_does_not_give(double: fake_speech.Control, word: str, error: type[Exception]) -> None:
    double.next(word)
    with pytest.raises(error):
        await speech.speak("oi", "", "pt-BR", model="google:gemini-3.8-flash-tts")


async def test_a_voice_gemini_does_not_know_is_told(double: fake_speech.Control) -> None:
    with pytest.raises(PermanentError):
        await speech.speak("oi", "Robô", "pt-BR", model="google:gemini-3.8-flash-tts")


def test_no_sound_is_no_voice_note() -> None:
    with pytest.raises(PermanentError, match="nothing"):
        opus.voice_note(b"\x00", 24_000)
    with pytest.raises(PermanentError, match="form"):
        opus.samples(b"RIFF\x00\x00\x00\x00WAVEnonsense")


@pytest.mark.parametrize(
    ("text", "model", "error"),
    [
        (" \n", "openai:stub", BadInput),
        ("a" * 4097, "openai:stub", TooLarge),
        (" \n", "google:stub", BadInput),
        ("oi", "anthropic:stub", ConfigurationError),
        ("oi", "", ConfigurationError),
    ],
)
async def test_what_cannot_be_spoken_is_not_sent(
    double: fake_speech.Control, text: str, model: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await speech.speak(text, "", "pt-BR", model=model)
    assert not double.requests


def test_a_cached_voice_note_is_found_by_text_voice_and_model() -> None:
    key = speech.cache_key("São dez reais.", "nova", "pt-BR", model="openai:tts-1")

    assert key == speech.cache_key(" São  dez\nreais. ", "nova", "pt-BR", model="openai:tts-1")
    others = {
        speech.cache_key("São doze reais.", "nova", "pt-BR", model="openai:tts-1"),
        speech.cache_key("São dez reais.", "alloy", "pt-BR", model="openai:tts-1"),
        speech.cache_key("São dez reais.", "nova", "es", model="openai:tts-1"),
        speech.cache_key("São dez reais.", "nova", "pt-BR", model="openai:tts-2"),
    }
    assert len(others | {key}) == 5
    usual = {speech.cache_key("oi", "", "es", model=model) for model in ("google:a", "openai:a")}
    assert len(usual) == 2


async def test_a_known_models_tokens_have_a_price() -> None:
    told = {"type": "tokens", "input_tokens": 1000, "output_tokens": 100, "input_token_details": {"audio_tokens": 900}}
    priced = voice_wire.usage_of_openai(told, "gpt-4o-mini-transcribe", priced=True)
    own = voice_wire.usage_of_openai(told, "gpt-4o-mini-transcribe", priced=False)

    assert priced.cost is not None
    assert priced.cost > Decimal(0)
    assert own.cost is None
    assert (own.input_tokens, own.output_tokens) == (1000, 100)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x00\x00\x00\x20ftypheic", "image/heic"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\xef\xbb\xbf\n%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", ""),
        (b"", ""),
    ],
)
def test_the_content_says_what_a_file_is(head: bytes, mime: str) -> None:
    assert audio.real_type(head) == mime


@pytest.mark.parametrize("name", ["PROSA_TRANSCRIPTION_MODEL", "PROSA_SPEECH_MODEL"])
def test_the_settings_take_a_model_or_nothing(environment: Callable[..., None], name: str) -> None:
    environment(**{name: "whisper-1"})
    with pytest.raises(ConfigurationError, match=name):
        conf.settings()
    environment(**{name: " local:tiny "})
    assert getattr(conf.settings(), name.removeprefix("PROSA_").lower()) == "local:tiny"


async def test_a_cancelled_request_leaves_the_breaker_as_it_was(double: fake_speech.Control) -> None:
    double.next("late-1000ms")
    asking = asyncio.create_task(speech.transcribe(NOTE, "", "pt-BR", model="openai:stub"))
    while not double.requests:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not llm.server("openai").breaker.open
    assert llm.server("openai").breaker.allows()
