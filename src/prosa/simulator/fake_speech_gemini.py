"""Gemini's voice: what it takes, what it refuses, and a low hum of a plausible length.

Raw samples from models before 3.8, a WAV file since. Source: Google's "Migrate to Gemini 3.8 TTS".
"""

from __future__ import annotations

import io
import math
import re
import struct
import wave
from typing import Final

from prosa.contracts import Json
from prosa.errors import BadInput

VOICES: Final = frozenset(
    {
        "Zephyr",
        "Puck",
        "Charon",
        "Kore",
        "Fenrir",
        "Leda",
        "Orus",
        "Aoede",
        "Callirrhoe",
        "Autonoe",
        "Enceladus",
        "Iapetus",
        "Umbriel",
        "Algieba",
        "Despina",
        "Erinome",
        "Algenib",
        "Rasalgethi",
        "Laomedeia",
        "Achernar",
        "Alnilam",
        "Schedar",
        "Gacrux",
        "Pulcherrima",
        "Achird",
        "Zubenelgenubi",
        "Vindemiatrix",
        "Sadachbia",
        "Sadaltager",
        "Sulafat",
    }
)
"""What Gemini's voices are called."""
_RAW: Final = re.compile(r"gemini-(?:2\.|3\.[0-7]\b)")
_RATE: Final = 24_000


def to_speak(body: Json, model: str) -> str:
    """The text of a request for speech.

    :raises BadInput: a real model would refuse it.
    """
    config = body.get("generationConfig")
    if not isinstance(config, dict) or config.get("responseModalities") != ["AUDIO"]:
        raise BadInput("The requested combination of response modalities is not supported by the model.")
    voice = config.get("speechConfig", {}).get("voiceConfig", {})
    name = voice.get("prebuiltVoiceConfig", {}).get("voiceName") or voice.get("voice") or "Kore"
    if str(name).capitalize() not in VOICES:
        raise BadInput(f"Voice name {name} is not supported.")
    parts = [part for content in body["contents"] for part in content.get("parts") or () if isinstance(part, dict)]
    if _RAW.match(model):
        if any("speechMetadata" in part for part in parts):
            raise BadInput('Invalid JSON payload received. Unknown name "speechMetadata".')
    elif config.keys() & {"temperature", "topP", "topK"}:
        raise BadInput("temperature, topP and topK are not supported by the model.")
    text = "\n".join(str(part.get("text") or "") for part in parts).strip()
    if not text:
        raise BadInput("There is nothing to say.")
    return text


def hum(seconds: float) -> bytes:
    """16-bit little-endian mono samples at 24 kHz of somebody who hums at 240 Hz."""
    period = [round(2_000 * math.sin(math.tau * place / 100)) for place in range(100)]
    return struct.pack("<100h", *period) * round(seconds * _RATE / 100)


def spoken(model: str, text: str) -> tuple[bytes, str]:
    """What a model's voice sounds like, and its type."""
    sound = hum(max(1.0, len(text) / 15))
    return (sound, f"audio/L16;codec=pcm;rate={_RATE}") if _RAW.match(model) else (_wav(sound), "audio/wav")


def tokens(text: str) -> int:
    """What it costs: 25 a second."""
    return int(len(text) / 15 * 25) + 1


def _wav(pcm: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(pcm)
    return made.getvalue()
