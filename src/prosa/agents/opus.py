"""Sound as a voice note: Opus in Ogg, made of plain samples. Needs the extra ``audio`` (PyAV)."""

from __future__ import annotations

import io
import wave
from typing import Final

from prosa.errors import BadInput, ConfigurationError, PermanentError, TooLarge

_RATE: Final = 48_000  # Ogg Opus counts in it whatever was recorded (RFC 7845, section 4)
_BITS: Final = 32_000  # a voice needs no more, and WhatsApp shows no play button above 512 KB
_SAMPLE: Final = 2  # bytes
_RECORDINGS: Final = "ogg,mov,mp4,m4a,matroska,webm,aac"  # what browsers record; others may name further files to open
MAX_SECONDS: Final = 900
"""Of what a person records: its samples are held in memory."""


def samples(data: bytes) -> tuple[bytes, int]:
    """The 16-bit little-endian mono samples of a WAV file, and how many a second has.

    :raises PermanentError: it is no such file.
    """
    try:
        with wave.open(io.BytesIO(data)) as sound:
            if sound.getnchannels() == 1 and sound.getsampwidth() == _SAMPLE:
                # A header that promises more than there is: what is there counts.
                return sound.readframes(len(data)), sound.getframerate()
    except (wave.Error, EOFError):
        pass
    raise PermanentError("The model's server spoke in a form that is not known here.\nChoose another speech model.")


def voice_note(pcm: bytes, rate: int) -> bytes:
    """``pcm`` (16 bit, little-endian, mono, ``rate`` samples a second) as a voice note. Call it in a thread.

    :raises PermanentError: it holds no sound, or nothing can be made of it.
    :raises ConfigurationError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigurationError("PyAV is not installed.\nRun: pip install 'prosa[audio]'") from error
    count = len(pcm) // _SAMPLE
    if not count:
        raise PermanentError("The model's server spoke nothing.\nTry again, or choose another speech model.")
    made = io.BytesIO()
    try:
        with av.open(made, "w", format="ogg") as note:
            said = note.add_stream("libopus", rate=_RATE, layout="mono", options={"application": "voip"})
            said.bit_rate = _BITS
            said.codec_context.open()
            resampler = av.AudioResampler(
                format=said.codec_context.format.name,
                layout="mono",
                rate=_RATE,
                frame_size=said.codec_context.frame_size,
            )
            frame = av.AudioFrame(format="s16", layout="mono", samples=count)
            frame.planes[0].update(pcm[: count * _SAMPLE])
            frame.sample_rate = rate
            for piece in (*resampler.resample(frame), *resampler.resample(None)):
                note.mux(said.encode(piece))
            note.mux(said.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise PermanentError("No voice note can be made of what was spoken.\nIt goes out as text.") from error
    return made.getvalue()


def recorded(data: bytes) -> bytes:
    """What a browser recorded (WebM, MP4, Ogg) as a voice note. Blocks for a while: not for an event loop's thread.

    :raises BadInput: it holds no sound.
    :raises TooLarge: it lasts longer than :data:`MAX_SECONDS`.
    :raises ConfigurationError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigurationError("PyAV is not installed.\nRun: pip install 'prosa[audio]'") from error
    pcm = bytearray()
    try:
        with av.open(io.BytesIO(data), "r", options={"format_whitelist": _RECORDINGS}) as source:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
            for frame in source.decode(source.streams.audio[0]):
                for piece in resampler.resample(frame):
                    pcm += bytes(piece.planes[0])[: piece.samples * _SAMPLE]
                if len(pcm) > MAX_SECONDS * _RATE * _SAMPLE:
                    raise TooLarge(f"The recording is longer than {MAX_SECONDS // 60} minutes.\nMake two of it.")
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise BadInput("The recording holds no sound.\nRecord it again.") from error
    if not pcm:
        raise BadInput("The recording holds no sound.\nRecord it again.")
    return voice_note(bytes(pcm), _RATE)
