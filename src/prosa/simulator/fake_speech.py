"""Doubles of hearing and speaking: OpenAI's ``/audio/transcriptions`` and ``/audio/speech``, Gemini with audio in or out.

``app`` answers these and leaves everything else to ``fake_llm``, so that it can stand in its place.

What it speaks is a real Ogg Opus file (silence of a plausible length) that carries its text as a comment; hearing
such a file gives the text back. Of a recording of somebody else it "hears" a customer's usual question. Gemini's voice is
a low hum of a plausible length: a WAV file, or raw samples from models before 3.8 (Google's "Migrate to Gemini 3.8 TTS").

Misbehaviour is asked for as in ``fake_llm``: words in the model's name, in the header ``x-fake-llm``, or
``control.next("503")``. The words here: ``late-<n>ms``, ``401`` ``429`` ``500`` ``503``, ``quota``, ``drop``,
``malformed``, ``corrupt`` (the audio cannot be read), ``silence`` (nothing was said; Gemini: 200 without sound), ``refuse``
(Gemini's safety), ``mp3`` (speaks in a format nobody asked for).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import json
import re
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import fake_llm
from prosa.simulator import fake_llm_gemini as gemini
from prosa.simulator import fake_llm_openai as openai
from prosa.simulator import fake_speech_gemini as voice
from prosa.simulator.wire import (
    HANG_UP,
    MAX_BODY,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    multipart,
    serve,
)

HEARD: Final = {
    "pt": "Oi, qual é o prazo de entrega?",
    "es": "Hola, ¿cuál es el plazo de entrega?",
    "en": "Hi, how long does delivery take?",
}
ENDINGS: Final = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
"""What OpenAI says it takes; it goes by the file's name."""
_COMMENT: Final = b"PROSA="
_FRAME: Final = b"\xf8\xff\xfe"  # 20 ms of silence, full band
_FRAME_SAMPLES: Final = 960
_FRAMES_PER_PAGE: Final = 50
_WORD: Final = re.compile(
    r"(?:^|-)(?:late-(?P<late>\d+)ms|(?P<status>401|429|500|503)|(?P<way>quota|drop|malformed|corrupt|silence|refuse|mp3))(?=-|$)"
)
_GEMINI: Final = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):generateContent$")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came: ``body`` is the JSON, or the form's text fields; ``audio`` the file with its name and type."""

    path: str
    body: Json
    audio: bytes = field(default=b"", repr=False)
    name: str = ""
    mime: str = ""


@dataclass
class Control:
    """How tests steer the doubles, and what they saw. One per process. ``hears``: what is heard next instead."""

    requests: deque[Recorded] = field(default_factory=lambda: deque(maxlen=500))
    hears: str | None = None
    _next: deque[str] = field(default_factory=deque)

    def next(self, *mischief: str) -> None:
        """Let the next requests misbehave, one word (or several joined by ``-``) each."""
        self._next.extend(mischief)

    def reset(self) -> None:
        """Behave again, forget everything."""
        self.requests.clear()
        self._next.clear()
        self.hears = None

    def draw(self) -> str:
        """The misbehaviour of the request at hand."""
        return self._next.popleft() if self._next else ""


control = Control()
_serials = itertools.count(1)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The doubles as an ASGI app; what is neither heard nor spoken goes to ``fake_llm``."""
    path = str(scope.get("path", ""))
    if scope["type"] == "http" and path.endswith(("/audio/transcriptions", "/audio/speech")):
        await serve(scope, receive, send, _openai)
    elif scope["type"] == "http" and _GEMINI.search(path):
        body, replayed = await _kept(receive)
        if b"audio/" in body:
            await serve(scope, replayed, send, _gemini)
        elif b'"AUDIO"' in body:
            await serve(scope, replayed, send, _gemini_speech)
        else:
            await fake_llm.app(scope, replayed, send)
    else:
        await fake_llm.app(scope, receive, send)


async def _kept(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a ``receive`` that gives it once more."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if message["type"] != "http.request" or not message.get("more_body") or size > MAX_BODY:
            break
    body = b"".join(chunks)
    waiting = [{**message, "body": body, "more_body": False}]

    async def replayed() -> Any:
        return waiting.pop() if waiting else await receive()

    return body, replayed


async def _openai(request: Request) -> Response:
    try:
        if request.path.endswith("/speech"):
            return await _speech(request)
        return await _transcription(request)
    except BadInput as wrong:
        return json_response(openai.error(400, str(wrong).splitlines()[0]), 400)


async def _transcription(request: Request) -> Response:
    form = multipart(request)
    fields = {name: part.data.decode("utf-8", "replace") for name, part in form.items() if name != "file"}
    file = form.get("file")
    model = fields.get("model", "")
    if file is None or not model:
        raise BadInput("You must provide a file and a model.")
    control.requests.append(Recorded(request.path, dict(fields), file.data, file.filename, file.content_type))
    words = await _late(model, request)
    if spoilt := _spoilt(words, openai.error):
        return spoilt
    if "corrupt" in words or file.filename.rpartition(".")[2].lower() not in ENDINGS or not file.data:
        wrong = openai.error(400, "Audio file might be corrupted or unsupported")
        wrong["error"].update(param="file", code="invalid_value")
        return json_response(wrong, 400)
    tongue = fields.get("language") or "pt"
    text = heard(file.data, tongue, silent="silence" in words)
    form_of = fields.get("response_format", "json")
    if form_of == "text":
        return Response(200, f"{text}\n".encode(), "text/plain; charset=utf-8")
    if form_of == "verbose_json":
        lasts = len(file.data) / 4000
        return json_response(
            {
                "task": "transcribe",
                "language": {"pt": "portuguese", "es": "spanish", "en": "english"}.get(tongue, tongue),
                "duration": lasts,
                "text": text,
                "segments": [],
                "usage": {"type": "duration", "seconds": int(lasts) + 1},
            }
        )
    given, made = len(file.data) // 1000 + 1, len(text) // 4 + 1
    usage = {
        "type": "tokens",
        "input_tokens": given,
        "input_token_details": {"text_tokens": 0, "audio_tokens": given},
        "output_tokens": made,
        "total_tokens": given + made,
    }
    return json_response({"text": text, "usage": usage})


async def _speech(request: Request) -> Response:
    body = request.json()
    model = body.get("model") if isinstance(body, dict) else None
    if not isinstance(model, str) or not isinstance(body.get("input"), str) or not isinstance(body.get("voice"), str):
        raise BadInput("You must provide model, input and voice.")
    if not 0 < len(body["input"]) <= 4096:
        raise BadInput("The input must have 1 to 4096 characters.")
    control.requests.append(Recorded(request.path, body))
    words = await _late(model, request)
    if spoilt := _spoilt(words, openai.error):
        return spoilt
    if "mp3" in words or body.get("response_format", "mp3") != "opus":
        return Response(200, b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(64), "audio/mpeg")
    return Response(200, voice_note(body["input"]), "audio/opus")


async def _gemini(request: Request) -> Response:
    match = _GEMINI.search(request.path)
    model = match["model"] if match else ""
    try:
        body = request.json()
        asked = gemini.prompt(body)
        data, mime = _inline(body)
    except BadInput as wrong:
        return json_response(gemini.error(400, str(wrong).splitlines()[0]), 400)
    control.requests.append(Recorded(request.path, body, data, mime=mime))
    words = await _late(model, request)
    if spoilt := _spoilt(words, gemini.error):
        return spoilt
    if "corrupt" in words or not data:
        return json_response(gemini.error(400, "Unable to process input audio. Please retry or report."), 400)
    if "refuse" in words:
        return json_response({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": model})
    found = re.search(r"Portuguese|Spanish|English", asked.turns[-1][1] if asked.turns else "")
    tongue = {"Spanish": "es", "English": "en"}.get(found[0] if found else "", "pt")
    text = heard(data, tongue, silent="silence" in words)
    wanted = body.get("generationConfig")
    if isinstance(wanted, dict) and wanted.get("responseMimeType") == "application/json":
        text = json.dumps({"text": text, "language": tongue if text else ""}, ensure_ascii=False)
    answer = gemini.generated(model, text, asked, next(_serials))
    usage = answer["usageMetadata"]
    spent = len(data) // 1000 + 1
    usage["promptTokensDetails"] = [{"modality": "AUDIO", "tokenCount": spent}]
    usage["promptTokenCount"] += spent
    usage["totalTokenCount"] += spent
    return json_response(answer)


async def _gemini_speech(request: Request) -> Response:
    match = _GEMINI.search(request.path)
    model = match["model"] if match else ""
    try:
        body = request.json()
        asked = gemini.prompt(body)
        text = voice.to_speak(body, model)
    except BadInput as wrong:
        return json_response(gemini.error(400, str(wrong).splitlines()[0]), 400)
    control.requests.append(Recorded(request.path, body))
    words = await _late(model, request)
    if spoilt := _spoilt(words, gemini.error):
        return spoilt
    if "refuse" in words:
        return json_response({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": model})
    sound, mime = voice.spoken(model, text)
    if "mp3" in words:
        sound, mime = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(64), "audio/mpeg"
    answer = gemini.generated(model, text, asked, next(_serials))
    part = {"inlineData": {"mimeType": mime, "data": base64.b64encode(sound).decode()}}
    answer["candidates"][0]["content"]["parts"] = [part]
    if "silence" in words:
        answer["candidates"] = [{"content": {}, "finishReason": "OTHER", "index": 0}]
    spent = voice.tokens(text)
    usage = answer["usageMetadata"]
    usage["candidatesTokenCount"] = spent
    usage["candidatesTokensDetails"] = [{"modality": "AUDIO", "tokenCount": spent}]
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage["promptTokenCount"]}]
    usage["totalTokenCount"] = usage["promptTokenCount"] + spent
    return json_response(answer)


def _inline(body: Json) -> tuple[bytes, str]:
    """The first audio of a request and its type."""
    for content in body["contents"]:
        parts = content.get("parts")
        for part in parts if isinstance(parts, list) else ():
            found = (part.get("inlineData") or part.get("inline_data")) if isinstance(part, dict) else None
            if isinstance(found, dict):
                mime = str(found.get("mimeType") or found.get("mime_type") or "")
                if mime.startswith("audio/"):
                    try:
                        return base64.b64decode(str(found.get("data", "")), altchars=b"-_"), mime
                    except binascii.Error:
                        raise BadInput("The inline data is not base64.") from None
    return b"", ""


async def _late(model: str, request: Request) -> set[str]:
    words: set[str] = set()
    for found in _WORD.finditer("-".join((model, request.headers.get("x-fake-llm", ""), control.draw()))):
        if found["late"]:
            await asyncio.sleep(int(found["late"]) / 1000)
        words.add(found["status"] or found["way"] or "late")
    return words


def _spoilt(words: set[str], error: fake_llm.Error) -> Response | None:
    if "drop" in words:
        return HANG_UP
    if "malformed" in words:
        return Response(200, b'{"text": "Oi, qu')
    if "quota" in words:
        wrong = error(429, "You exceeded your current quota.")
        wrong["error"]["code"] = "insufficient_quota"
        return json_response(wrong, 429)
    for word in words:
        if word.isdigit():
            told = {"retry_after": "7"} if word == "429" else {}
            return json_response(error(int(word), f"The double was told to answer {word}."), int(word), **told)
    return None


def heard(data: bytes, tongue: str, *, silent: bool = False) -> str:
    """What a recording "says": what a test gave, what the double spoke into it, else a usual question."""
    if silent:
        return ""
    if control.hears is not None:
        return control.hears
    at = data.find(_COMMENT, 0, 40_000)
    if at >= 4:
        size = int.from_bytes(data[at - 4 : at], "little")
        return data[at + len(_COMMENT) : at + size].decode("utf-8", "replace")
    return HEARD.get(tongue, HEARD["en"])


def voice_note(text: str, *, seconds: float | None = None) -> bytes:
    """An Ogg Opus file of silence that carries ``text``, 15 characters a second unless ``seconds`` says otherwise."""
    lasts = seconds if seconds is not None else max(1.0, len(text) / 15)
    frames = max(1, round(lasts * 50))
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    comment = _COMMENT + text.encode()[:16_000]
    tags = b"OpusTags" + struct.pack("<I", 5) + b"prosa" + struct.pack("<II", 1, len(comment)) + comment
    pages = [_page([head], 0, 0, 2), _page([tags], 0, 1, 0)]
    for number, start in enumerate(range(0, frames, _FRAMES_PER_PAGE), 2):
        end = min(start + _FRAMES_PER_PAGE, frames)
        pages.append(_page([_FRAME] * (end - start), end * _FRAME_SAMPLES, number, 4 if end == frames else 0))
    return b"".join(pages)


def _page(packets: list[bytes], granule: int, number: int, flags: int) -> bytes:
    """One Ogg page (RFC 3533, section 6) of whole packets."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, number, 0, len(lacing)) + lacing
    page = head + b"".join(packets)
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


def _crc(data: bytes) -> int:
    """Ogg's checksum: CRC-32 with polynomial 04c11db7, not reflected."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRCS[value >> 24 ^ byte]
    return value


def _crcs() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRCS: Final = _crcs()
