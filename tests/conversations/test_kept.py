"""Files that are found by name are whole, whatever became of those who wrote them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import Storage, default_storage

from prosa.conversations.media import kept

NAME = "1/spoken/abc.ogg"
KILLED = """
import django, os, signal, sys
django.setup()
from django.conf import settings
settings.MEDIA_ROOT = sys.argv[1]
from prosa.conversations.media import kept

class Half:
    left = 3
    def read(self, size=-1):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return b"half" * 100_000

kept.keep(sys.argv[2], Half())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def test_a_file_is_kept_under_its_name_and_again_in_its_place(folder: Path, settings: Any) -> None:
    for content in (b"first", b"second"):
        assert kept.keep(NAME, io.BytesIO(content)) == NAME
        assert (folder / NAME).read_bytes() == content
    assert [each.name for each in (folder / "1/spoken").iterdir()] == ["abc.ogg"]
    assert (folder / NAME).stat().st_mode & 0o777 == settings.FILE_UPLOAD_PERMISSIONS


def test_a_kill_in_the_middle_leaves_nothing_to_be_found(folder: Path) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), NAME], check=False, timeout=120)
    assert run.returncode == -9
    assert not default_storage.exists(NAME)
    (part,) = [each for each in folder.rglob("*") if each.is_file()]
    assert part.name.endswith(kept.PART)
    kept.keep(NAME, io.BytesIO(b"whole"))
    kept.forget_parts()
    assert part.exists()  # it may be somebody's who is at it
    os.utime(part, (0, 0))
    kept.forget_parts()
    assert [each.name for each in folder.rglob("*") if each.is_file()] == ["abc.ogg"]


def test_what_cannot_be_read_to_its_end_is_not_kept(folder: Path) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    kept.keep(NAME, io.BytesIO(b"old"))
    with pytest.raises(OSError, match="gone"):
        kept.keep(NAME, Torn())
    assert (folder / NAME).read_bytes() == b"old"
    assert [each.name for each in folder.rglob("*") if each.is_file()] == ["abc.ogg"]


class Bucket(Storage):
    """A store without folders: what arrives is there whole."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def _save(self, name: str, content: Any) -> str:
        self.held[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.held


def test_a_storage_without_folders_saves_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    monkeypatch.setattr(kept, "default_storage", bucket)
    name = kept.keep(NAME, io.BytesIO(b"whole"))
    kept.forget_parts()
    assert bucket.held == {name: b"whole"}
