"""Voice notes that every browser plays."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from prosa.agents import audio, playable
from prosa.errors import BadInput, TooLarge
from prosa.simulator.fake_speech import voice_note


def test_a_voice_note_becomes_mp3(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.ogg", tmp_path / "a.mp3"
    source.write_bytes(voice_note("oi", seconds=2))

    assert playable.playable(source, copy) == pytest.approx(2, abs=0.05)
    assert audio.real_type(copy.read_bytes()) == playable.MIME
    with av.open(str(copy)) as made:
        assert made.streams.audio[0].codec_context.name.startswith("mp3")
        heard = sum(frame.samples for frame in made.decode(audio=0)) / made.streams.audio[0].rate
    assert heard == pytest.approx(2, abs=0.1)


def concat(folder: Path) -> bytes:
    (folder / "secret.ogg").write_bytes(voice_note("segredo"))
    return b"ffconcat version 1.0\nfile secret.ogg\n"  # a neighbour's name is "safe" to ffmpeg itself


@pytest.mark.parametrize("what", ["rubbish", "empty", "cut", "playlist"])
def test_what_is_no_audio_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    data = {"rubbish": b"MZ" * 500, "empty": b"", "cut": voice_note("oi")[:60], "playlist": concat(tmp_path)}[what]
    source, copy = tmp_path / "a.ogg", tmp_path / "a.mp3"
    source.write_bytes(data)

    with pytest.raises(BadInput):
        playable.playable(source, copy)
    assert not copy.exists()


@pytest.mark.parametrize(("limit", "value"), [("MAX_BYTES", 100), ("MAX_SECONDS", 1.0)])
def test_what_is_too_large_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    source, copy = tmp_path / "a.ogg", tmp_path / "a.mp3"
    source.write_bytes(voice_note("oi", seconds=2))
    monkeypatch.setattr(playable, limit, value)

    with pytest.raises(TooLarge):
        playable.playable(source, copy)
    assert not copy.exists()
