"""The official SDKs talk to the doubles of hearing and speaking over real HTTP."""

from __future__ import annotations

import asyncio
import io
import socket
import wave
from collections.abc import AsyncIterator, Iterator

import av
import openai
import pytest
import uvicorn
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from prosa.agents import audio
from prosa.simulator import app, fake_speech


@pytest.fixture(autouse=True)
def control() -> Iterator[fake_speech.Control]:
    fake_speech.control.reset()
    yield fake_speech.control
    fake_speech.control.reset()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(fake_speech.app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture
async def client(address: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="sk-x", max_retries=0) as client:
        yield client


@pytest.fixture
async def gemini(address: str) -> AsyncIterator[genai.Client]:
    client = genai.Client(api_key="x", http_options=genai_types.HttpOptions(base_url=address))
    yield client
    client.close()


def test_a_voice_note_is_opus_that_a_decoder_plays() -> None:
    made = fake_speech.voice_note("Olá!", seconds=2.5)

    assert audio.is_opus(made)
    assert audio.seconds(made) == 2.5
    with av.open(io.BytesIO(made)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        rate = container.streams.audio[0].rate
    assert samples / rate == pytest.approx(2.5, abs=0.03)


async def test_what_was_spoken_can_be_heard(client: openai.AsyncOpenAI) -> None:
    spoken = await client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="nova", input="São dois reais, tá?", response_format="opus"
    )
    heard = await client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=("voice.ogg", spoken.content, "audio/ogg"), language="pt"
    )

    assert heard.text == "São dois reais, tá?"
    assert heard.usage is not None
    assert heard.usage.type == "tokens"
    assert heard.usage.total_tokens == heard.usage.input_tokens + heard.usage.output_tokens


async def test_whispers_verbose_form_tells_language_and_length(client: openai.AsyncOpenAI) -> None:
    heard = await client.audio.transcriptions.create(
        model="whisper-1", file=("a.ogg", fake_speech.voice_note("hola"), "audio/ogg"), response_format="verbose_json"
    )

    assert (heard.text, heard.language) == ("hola", "portuguese")
    assert heard.duration > 0


async def test_a_strangers_recording_asks_something_usual(client: openai.AsyncOpenAI) -> None:
    heard = await client.audio.transcriptions.create(model="stub", file=("a.mp3", b"ID3..."), language="es")

    assert heard.text == fake_speech.HEARD["es"]


async def test_gemini_hears_inline_audio(gemini: genai.Client, control: fake_speech.Control) -> None:
    recording = fake_speech.voice_note("tem creme?")
    answer = await asyncio.to_thread(  # its asynchronous half warns about itself
        gemini.models.generate_content,
        model="gemini-2.5-flash",
        contents=["Write down.", genai_types.Part.from_bytes(data=recording, mime_type="audio/ogg")],
    )

    assert answer.text == "tem creme?"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_tokens_details is not None
    assert answer.usage_metadata.prompt_tokens_details[0].modality == "AUDIO"
    assert control.requests[-1].audio == recording


def spoken_config(**more: object) -> genai_types.GenerateContentConfig:
    voice = genai_types.VoiceConfig(prebuilt_voice_config=genai_types.PrebuiltVoiceConfig(voice_name="Kore"))
    return genai_types.GenerateContentConfig(
        response_modalities=["AUDIO"], speech_config=genai_types.SpeechConfig(voice_config=voice), **more
    )


@pytest.mark.parametrize(
    ("model", "mime"),
    [("gemini-3.8-flash-tts", "audio/wav"), ("gemini-2.5-flash-preview-tts", "audio/L16;codec=pcm;rate=24000")],
)
async def test_gemini_speaks(gemini: genai.Client, model: str, mime: str) -> None:
    answer = await asyncio.to_thread(
        gemini.models.generate_content, model=model, contents="São dois reais, tá bom?", config=spoken_config()
    )

    assert answer.parts is not None
    sound = answer.parts[0].inline_data
    assert sound is not None
    assert sound.data is not None
    assert sound.mime_type == mime
    if mime == "audio/wav":
        with wave.open(io.BytesIO(sound.data)) as heard:
            assert (heard.getnchannels(), heard.getsampwidth(), heard.getframerate()) == (1, 2, 24_000)
            assert heard.getnframes() == pytest.approx(24_000 * 23 / 15, abs=100)
    else:
        assert len(sound.data) == pytest.approx(2 * 24_000 * 23 / 15, abs=200)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_tokens_details is not None
    assert answer.usage_metadata.candidates_tokens_details[0].modality == "AUDIO"


async def test_geminis_newer_voices_take_a_style_and_no_temperature(
    gemini: genai.Client, control: fake_speech.Control
) -> None:
    part = genai_types.Part(text="oi", speech_metadata=genai_types.SpeechMetadata(style="calm"))
    await asyncio.to_thread(
        gemini.models.generate_content, model="gemini-3.8-flash-tts", contents=[part], config=spoken_config()
    )
    assert control.requests[-1].body["contents"][0]["parts"] == [{"text": "oi", "speechMetadata": {"style": "calm"}}]
    for model, config in (
        ("gemini-3.8-flash-tts", spoken_config(temperature=0)),
        ("gemini-3.1-flash-tts-preview", spoken_config()),
    ):
        with pytest.raises(genai_errors.ClientError):
            await asyncio.to_thread(gemini.models.generate_content, model=model, contents=[part], config=config)


async def test_the_rest_is_the_model_doubles(client: openai.AsyncOpenAI, gemini: genai.Client) -> None:
    chat = await client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "oi"}])
    written = await asyncio.to_thread(gemini.models.generate_content, model="stub", contents="oi")

    assert chat.choices[0].message.content
    assert written.text


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("503", openai.InternalServerError),
        ("corrupt", openai.BadRequestError),
        ("drop", openai.APIConnectionError),
    ],
)
async def test_it_misbehaves_when_told(
    client: openai.AsyncOpenAI, control: fake_speech.Control, word: str, error: type[openai.OpenAIError]
) -> None:
    control.next(word)
    with pytest.raises(error):
        await client.audio.transcriptions.create(model="stub", file=("a.ogg", fake_speech.voice_note("oi")))
    assert (await client.audio.transcriptions.create(model="stub", file=("a.ogg", fake_speech.voice_note("oi")))).text


async def test_an_ending_openai_does_not_know_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.audio.transcriptions.create(model="stub", file=("voice.amr", b"#!AMR\n"))
    assert refused.value.param == "file"


@pytest.mark.parametrize("wrong", [{"input": ""}, {"input": "x" * 4097}])
async def test_speech_has_the_limits_of_the_real_one(client: openai.AsyncOpenAI, wrong: dict[str, str]) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.audio.speech.create(model="stub", voice="nova", **wrong)


async def test_the_simulator_serves_them(control: fake_speech.Control) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app.application, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/simulator/openai/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="sk-x", max_retries=0) as client:
            heard = await client.audio.transcriptions.create(
                model="stub", file=("a.ogg", fake_speech.voice_note("tem creme?"))
            )
        server.should_exit = True
        await serving
    assert heard.text == "tem creme?"
