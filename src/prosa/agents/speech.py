"""Voice notes written down, and answers spoken as voice notes.

``transcribe`` asks an OpenAI-compatible server (``/audio/transcriptions``), Gemini (``generateContent``), or what a
plug-in brings (``prosa.hookspecs.transcribers``); ``speak`` asks an OpenAI-compatible server (``/audio/speech``) or Gemini.
Addresses and keys are those of ``agents.llm``. Neither repeats a request, and neither logs a word of what was said.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from prosa import plugins
from prosa.agents import audio, llm, opus, voice_wire
from prosa.agents.guidelines import language
from prosa.agents.memory import plain
from prosa.contracts import Json, Usage
from prosa.errors import BadInput, ConfigurationError, PermanentError, TooLarge

logger = logging.getLogger(__name__)

MAX_SECONDS: Final = 900.0
"""Longer voice notes are not transcribed: nobody asks a shop for a quarter of an hour."""
MAX_BYTES: Final = 25 * 1024 * 1024
"""OpenAI takes no larger file."""
MAX_INLINE_BYTES: Final = 14 * 1024 * 1024
"""Gemini takes requests of 20 MB, and base64 makes a file a third larger."""
MAX_SPOKEN: Final = 4_096
"""Characters of one spoken text (OpenAI's ``input``)."""
DEFAULT_VOICE: Final = "alloy"
DEFAULT_GEMINI_VOICE: Final = "Kore"
VOICE_NOTE: Final = "audio/ogg; codecs=opus"
"""The MIME type under which WhatsApp shows a voice note."""

_OPENAI_VOICES: Final = frozenset(
    {"alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"}
)
"""What Gemini would refuse; a business that named one keeps its voice notes when the model is changed."""
_HEARD_BY_OPENAI: Final = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "audio/flac": "flac",
}
"""Type → the file name's ending, by which the server tells the format."""
_RAW: Final = frozenset({"audio/l16", "audio/pcm"})
_HEARD_BY_GEMINI: Final = frozenset({"audio/ogg", "audio/mpeg", "audio/wav", "audio/flac", "audio/aac", "audio/mp4"})


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a voice note says. ``text`` is empty when nothing could be heard; ``reason`` then says why:

    ``empty`` (no bytes), ``large``, ``long``, ``format`` (not audio this model takes), ``damaged`` (the server could
    not read it), ``silence`` (no words in it), ``refused`` (the model would not write it down).
    ``language``: as the model names it (``pt``, ``portuguese``), empty when it does not.
    ``seconds``: length of the audio, None when unknown.
    """

    text: str
    language: str = ""
    seconds: float | None = None
    usage: Usage = field(default_factory=Usage)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A voice note: Opus in Ogg. ``seconds`` is None when the file does not tell, ``usage`` when the server does not."""

    data: bytes
    mime: str = VOICE_NOTE
    seconds: float | None = None
    usage: Usage | None = None


class Transcriber(Protocol):
    """What a plug-in brings to write down voice notes (hook ``transcribers``). ``provider`` stands before the colon."""

    provider: str

    async def transcribe(self, data: bytes, mime: str, locale: str, *, model: str, deadline: float) -> Transcript:
        """As :func:`transcribe`; ``model`` is what stands behind the colon, ``mime`` the real type where we know it."""
        ...


async def transcribe(data: bytes, mime: str, locale: str, *, model: str, deadline: float = 60.0) -> Transcript:
    """The words of a voice note. ``locale`` is a hint (``pt-BR``), ``deadline`` in seconds.

    Audio that cannot be used is no error: see :class:`Transcript`.

    :raises TemporaryError: the server did not answer in time, cannot work now or is left alone; try again later.
    :raises SlowDown: it asks for a slower pace.
    :raises PermanentError: it refuses the key, the model or the request.
    :raises ConfigurationError: the model's name or its key is missing or wrong.
    """
    provider, name = _named(model, "PROSA_TRANSCRIPTION_MODEL")
    known = audio.real_type(data)
    mime = known or mime.partition(";")[0].strip().lower()
    lasts = audio.seconds(data)
    if reason := _unusable(data, known, lasts, provider):
        return Transcript("", seconds=lasts, reason=reason)
    if provider == "openai":
        heard = await _openai(data, mime, locale, name, deadline)
    elif provider == "google":
        heard = await _gemini(data, mime, locale, name, deadline)
    else:
        heard = await _plugin(provider).transcribe(data, mime, locale, model=name, deadline=deadline)
    text = plain(heard.text).strip()
    if not heard.reason and (not text or voice_wire.imagined(text)):
        return replace(heard, text="", seconds=heard.seconds or lasts, reason="silence")
    return replace(heard, text=text, seconds=heard.seconds or lasts)


async def speak(text: str, voice: str, locale: str, *, model: str, deadline: float = 60.0) -> Spoken:
    """``text``, already prepared by ``aloud``, as a voice note. ``voice``: the provider's name for it, or empty.

    :raises BadInput: nothing to say.
    :raises TooLarge: more than :data:`MAX_SPOKEN` characters; send it as text.
    :raises TemporaryError, SlowDown, PermanentError, ConfigurationError: as :func:`transcribe`.
    """
    provider, name = _named(model, "PROSA_SPEECH_MODEL")
    if provider not in ("openai", "google"):
        raise ConfigurationError(f"{provider!r} does not speak.\nSet PROSA_SPEECH_MODEL to openai:NAME or google:NAME.")
    said = plain(text).strip()
    if not said:
        raise BadInput("There is nothing to say.\nGive a text.")
    if len(said) > MAX_SPOKEN:
        raise TooLarge(f"{len(said)} characters are too long for one voice note.\nSend it as text.")
    if provider == "google":
        return await _gemini_speech(said, voice, locale, name, deadline)
    server = llm.server(provider)
    body = {"model": name, "input": said, "voice": voice or DEFAULT_VOICE, "response_format": "opus"}
    if name.startswith("gpt-"):  # tts-1 knows no instructions
        body["instructions"] = _manner(locale)
    data = await voice_wire.spoken(server, body, deadline)
    if not audio.is_opus(data):
        shown = audio.real_type(data) or "something unknown"
        raise PermanentError(
            f"The model's server answered {shown}, not Opus in Ogg.\n"
            "Choose a server that knows response_format opus; until then answers go out as text."
        )
    return Spoken(data, seconds=audio.seconds(data))


def cache_key(text: str, voice: str, locale: str, *, model: str) -> str:
    """The name (hex, 64 characters) under which a spoken text may be kept: the same words in the same voice."""
    usual = DEFAULT_GEMINI_VOICE if model.startswith("google:") else DEFAULT_VOICE
    parts = (" ".join(plain(text).split()), voice or usual, locale, model)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _named(model: str, setting: str) -> tuple[str, str]:
    provider, _, name = model.partition(":")
    if not provider or not name:
        raise ConfigurationError(f"{model!r} is not the name of a model.\nWrite provider:model in {setting}.")
    return provider, name


def _unusable(data: bytes, known: str, lasts: float | None, provider: str) -> str:
    """Why audio is not even sent. A plug-in judges sizes and formats itself."""
    if not data:
        return "empty"
    if lasts is not None and lasts > MAX_SECONDS:
        return "long"
    if provider == "openai":
        return "large" if len(data) > MAX_BYTES else "" if known in _HEARD_BY_OPENAI else "format"
    if provider == "google":
        return "large" if len(data) > MAX_INLINE_BYTES else "" if known in _HEARD_BY_GEMINI else "format"
    return ""


def _plugin(provider: str) -> Transcriber:
    offered: list[Transcriber] = [
        one for several in plugins.manager().hook.transcribers() for one in several if one.provider == provider
    ]
    if not offered:
        raise ConfigurationError(
            f"Nobody transcribes for {provider!r}.\nWrite openai:NAME or google:NAME, or install the plug-in."
        )
    return offered[0]


async def _openai(data: bytes, mime: str, locale: str, model: str, deadline: float) -> Transcript:
    server = llm.server("openai")
    # The verbose form tells language and length, and only Whisper gives it.
    form = {"model": model, "response_format": "verbose_json" if "whisper" in model else "json"}
    if tongue := _tongue(locale):
        form["language"] = tongue
    name = f"voice.{_HEARD_BY_OPENAI[mime]}"
    try:
        heard = await voice_wire.written_by_openai(server, form, data, name, mime, deadline)
    except voice_wire.Unreadable:
        return Transcript("", reason="damaged")
    usage = voice_wire.usage_of_openai(heard.get("usage"), model, priced=not server.own)
    lasts = heard.get("duration")
    return Transcript(
        text=str(heard.get("text") or ""),
        language=str(heard.get("language") or ""),
        seconds=float(lasts) if isinstance(lasts, (int, float)) else None,
        usage=usage,
    )


async def _gemini(data: bytes, mime: str, locale: str, model: str, deadline: float) -> Transcript:
    server = llm.server("google")
    # Base64 of some megabytes would hold up every other turn of this process.
    body = await asyncio.to_thread(voice_wire.gemini_body, data, mime, language(locale) if locale else "")
    try:
        heard = await voice_wire.asked_of_gemini(server, model, body, deadline)
    except voice_wire.Unreadable:
        return Transcript("", reason="damaged")
    usage = voice_wire.usage_of_gemini(heard.get("usageMetadata"), model, priced=not server.own)
    said = voice_wire.said_by_gemini(heard)
    if said is None:
        return Transcript("", usage=usage, reason="refused")
    text, tongue = said
    return Transcript(text, tongue, usage=usage)


async def _gemini_speech(text: str, voice: str, locale: str, model: str, deadline: float) -> Spoken:
    server = llm.server("google")
    own = DEFAULT_GEMINI_VOICE if not voice or voice.lower() in _OPENAI_VOICES else voice
    body = voice_wire.gemini_speech_body(model, text, own, _manner(locale))
    try:
        answer = await voice_wire.asked_of_gemini(server, model, body, deadline)
    except voice_wire.Unreadable as error:  # no audio was sent, so this speaks of the request
        raise PermanentError(str(error), code=error.code) from error
    usage = voice_wire.usage_of_gemini(answer.get("usageMetadata"), model, priced=not server.own)
    data = await asyncio.to_thread(_as_voice_note, answer)
    return Spoken(data, seconds=audio.seconds(data), usage=usage)


def _as_voice_note(answer: Json) -> bytes:
    """Gemini's answer as Opus. Takes a moment."""
    data, mime = voice_wire.spoken_by_gemini(answer)
    if audio.is_opus(data):
        return data
    if audio.real_type(data) == "audio/wav":
        return opus.voice_note(*opus.samples(data))
    if mime.partition(";")[0].strip().lower() not in _RAW:
        raise PermanentError(
            f"The model's server answered {mime}, which is not known here.\nChoose another speech model."
        )
    return opus.voice_note(data, voice_wire.rate_of(mime))


def _tongue(locale: str) -> str:
    tag = locale.replace("_", "-").partition("-")[0].lower()
    return tag if len(tag) == 2 and tag.isascii() and tag.isalpha() else ""


def _manner(locale: str) -> str:
    return f"Speak {language(locale)}, as a friendly person of a shop speaks in a voice note."
