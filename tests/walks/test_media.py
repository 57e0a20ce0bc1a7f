"""Files customers send: fetched on arrival, checked, stored; and what happens when they cannot be."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from tests.walks.house import House, elsewhere
from tests.walks.payloads import image, said, text, written

from prosa.contracts import Media
from prosa.conversations import dispatch
from prosa.conversations.media import fetching as media
from prosa.errors import PermanentError, TemporaryError

PICTURE = b"\xff\xd8\xff" + b"picture" * 1000
DIGEST = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(dispatch, "backoff", lambda _attempt: 0.01)
    return tmp_path


def file(
    data: bytes = PICTURE, mime_type: str = "image/jpeg", size: int | None = None, sha256: str = "", filename: str = ""
) -> Any:
    """A file at the provider."""

    async def opened() -> Media:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 1000):
                yield data[start : start + 1000]

        return Media(mime_type, len(data) if size is None else size, sha256, filename, chunks())

    return opened


def attachment(house: House) -> dict[str, Any]:
    return house.one("select to_jsonb(a) from prosa_conversations_attachment a")


async def _settled(house: House) -> dict[str, Any]:
    await house.until(lambda: attachment(house)["status"] != "waiting")
    return attachment(house)


async def test_a_picture_is_stored_and_the_words_are_answered(house: House, folder: Path):
    house.carrier.files["m1"] = file(filename="../../etc/passwd\x00")
    await house.work()
    assert await house.post(image("1", "m1", DIGEST)) == 200
    found = await _settled(house)
    assert (found["status"], found["sha256"], found["size"]) == ("stored", DIGEST, len(PICTURE))
    assert (folder / found["file"]).read_bytes() == PICTURE
    assert "passwd" not in found["file"]
    await house.until(lambda: house.carrier.sent)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("wrong checksum", "checksum"),
        ("announced too large", "allowed"),
        ("really too large", "larger"),
        ("a program", "not accepted"),
        ("another kind", "not accepted"),
    ],
)
async def test_a_file_that_is_refused(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, wanted: str
):
    monkeypatch.setattr(
        media.conf, "settings", lambda real=media.conf.settings: real().model_copy(update={"media_max_bytes": 10_000})
    )
    house.carrier.files["m1"] = {
        "wrong checksum": file(PICTURE + b"x"),
        "announced too large": file(size=10_001),
        "really too large": file(PICTURE * 2, size=-1),
        "a program": file(mime_type="application/x-msdownload"),
        "another kind": file(mime_type="text/html"),
    }[name]
    await house.work()
    await house.post(image("1", "m1", DIGEST))
    found = await _settled(house)
    assert found["status"] == "refused"
    assert wanted in found["error"]
    assert not any(files for _, _, files in os.walk(folder))
    await house.until(lambda: house.carrier.sent)


async def test_a_file_that_is_gone_does_not_hold_back_the_next(house: House):
    async def gone() -> Media:
        raise PermanentError("It expired\x00.")

    house.carrier.files |= {"m1": gone, "m2": file()}
    await house.post(image("1", "m1", DIGEST))
    await house.post(image("2", "m2", DIGEST))
    await house.work()
    await house.until(
        lambda: (
            house.rows("select status from prosa_conversations_attachment order by id") == [("failed",), ("stored",)]
        )
    )


async def test_a_disk_that_is_full_is_tried_again_then_shown_then_revived(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatch, "LAST_ATTEMPT", 3)
    tries: list[str] = []

    def full(_self: Any, name: str, _content: Any) -> str:
        tries.append(name)
        raise OSError(errno.ENOSPC, "No space left on device")

    house.carrier.files["m1"] = file()
    with monkeypatch.context() as today:
        today.setattr(FileSystemStorage, "_save", full)
        await house.work()
        await house.post(image("1", "m1", DIGEST))
        found = await _settled(house)
        assert len(tries) == 3
        assert found["status"] == "failed"
    letter = house.one("select id from prosa_conversations_dispatch where lane = 0 and dead_at is not null")
    await house.until(lambda: house.carrier.sent)
    assert house.state() == "bot"
    assert await elsewhere(dispatch.revive, [letter]) == 1
    await house.until(lambda: attachment(house)["status"] == "stored")
    assert default_storage.exists(attachment(house)["file"])


async def test_a_provider_that_hangs_holds_back_no_answer(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(media, "FETCH_TIMEOUT_S", 0.2)
    tries: list[int] = []

    async def hang() -> Media:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(3600)
        return await file()()

    house.carrier.files["m1"] = hang
    await house.work()
    await house.post(image("1", "m1", DIGEST))
    await house.post(said("olha", "2"))
    await house.until(lambda: house.carrier.sent)
    assert (await _settled(house))["status"] == "stored"
    assert len(tries) == 2


async def test_a_document_keeps_its_name_and_its_checksum(house: House):
    content = {"mime_type": "application/pdf", "sha256": DIGEST, "id": "m1", "filename": "Orçamento 3.pdf"}
    message = {**text("", "1"), "type": "document", "document": content}
    house.carrier.files["m1"] = file(mime_type="application/pdf", filename="other.pdf")
    await house.work()
    await house.post(written([message]))
    found = await _settled(house)
    assert (found["status"], found["filename"], found["sha256"]) == ("stored", "Orçamento 3.pdf", DIGEST)


async def test_a_connection_that_breaks_in_the_middle(house: House):
    broken: list[int] = []

    async def cut() -> Media:
        async def chunks() -> AsyncIterator[bytes]:
            yield PICTURE[:1000]
            raise TemporaryError("Cut.")

        broken.append(1)
        return Media("image/jpeg", len(PICTURE), "", "", chunks()) if len(broken) == 1 else await file()()

    house.carrier.files["m1"] = cut
    await house.work()
    await house.post(image("1", "m1", DIGEST))
    assert (await _settled(house))["sha256"] == DIGEST
