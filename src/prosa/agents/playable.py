"""A copy of a voice note that every browser plays: MP3 of any audio ffmpeg reads. Needs the extra ``audio`` (PyAV)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prosa.errors import BadInput, ConfigurationError, TooLarge

MIME: Final = "audio/mpeg"
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_SECONDS: Final = 3_600.0
_RATE: Final = 44_100
_BITS: Final = 64_000  # a voice needs no more
_FORMATS: Final = "ogg,mp3,mov,mp4,m4a,wav,flac,aac,amr,matroska,webm,caf"
"""Only these: others (playlists, concatenations) may name further files and addresses to open."""


def playable(path_in: Path, path_out: Path) -> float:
    """Write ``path_out`` as mono MP3 and return its seconds. Blocks for a while: call it in a thread.

    On an error ``path_out`` is gone.

    :raises BadInput: it holds no audio that can be decoded.
    :raises TooLarge: the file or its length is beyond :data:`MAX_BYTES` or :data:`MAX_SECONDS`.
    :raises ConfigurationError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigurationError("PyAV is not installed.\nRun: pip install 'prosa[audio]'") from error
    if path_in.stat().st_size > MAX_BYTES:
        raise TooLarge(f"The file is larger than {MAX_BYTES} bytes.\nIt can only be downloaded.")
    try:
        return _copied(path_in, path_out)
    except (av.FFmpegError, IndexError, ValueError) as error:
        path_out.unlink(missing_ok=True)
        raise BadInput("The file holds no audio that can be played.\nIt can only be downloaded.") from error
    except BaseException:
        path_out.unlink(missing_ok=True)
        raise


def _copied(path_in: Path, path_out: Path) -> float:
    import av

    samples = 0
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    with av.open(str(path_in), options=options) as source, av.open(str(path_out), "w", format="mp3") as copy:
        heard = source.streams.audio[0]
        said = copy.add_stream("libmp3lame", rate=_RATE, layout="mono")
        said.bit_rate = _BITS
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=_RATE)
        for frame in source.decode(heard):
            for piece in resampler.resample(frame):
                samples += piece.samples
                if samples > MAX_SECONDS * _RATE:
                    raise TooLarge(f"It lasts more than {MAX_SECONDS:.0f} s.\nIt can only be downloaded.")
                copy.mux(said.encode(piece))
        for piece in resampler.resample(None):
            samples += piece.samples
            copy.mux(said.encode(piece))
        if not samples:
            raise ValueError("nothing was decoded")
        copy.mux(said.encode(None))
    return samples / _RATE
