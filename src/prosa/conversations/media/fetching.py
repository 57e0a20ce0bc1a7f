"""Files customers send: fetched on arrival, for the provider keeps them days at most, checked, and stored.

``fetch`` is the handler of the lane ``media``. It works whoever owns the conversation. Files go to Django's default
storage under a name that cannot be guessed; what they are called by the customer is only a label.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import mimetypes
import secrets
import tempfile
from datetime import UTC, datetime
from typing import Any, BinaryIO

from django.core.files import File
from django.core.files.storage import default_storage

from prosa import conf, sql
from prosa.channels import base
from prosa.channels.inboxes import Inboxes
from prosa.contracts import Attachment, InboxConfig, Media
from prosa.conversations.dispatch import Claim, Release
from prosa.conversations.media.hearing import Hearing, unwanted, wanted
from prosa.errors import BadInput, NotAllowed, PermanentError, TemporaryError, TooLarge
from prosa.http import Client
from prosa.postgres.connections import Pool, fetch_all

log = logging.getLogger(__name__)
queries = sql.load(__file__, "fetching.sql")

EXECUTABLE = frozenset(
    {
        "application/x-msdownload",
        "application/x-dosexec",
        "application/vnd.microsoft.portable-executable",
        "application/x-sh",
        "application/x-executable",
        "application/x-mach-binary",
        "application/java-archive",
        "application/x-ms-installer",
        "application/x-bat",
        "text/javascript",
        "application/javascript",
        "application/hta",
        "text/html",
        "application/xhtml+xml",
        "image/svg+xml",
    }
)
"""Never stored: programs, and documents that run scripts in a colleague's browser."""
FAMILIES = {
    "image": ("image/",),
    "sticker": ("image/",),
    "audio": ("audio/", "video/ogg", "application/ogg"),
    "video": ("video/",),
}
FETCH_TIMEOUT_S = 120.0


class MediaLane:
    """The handler of the lane, with what it needs."""

    def __init__(self, pool: Pool, inboxes: Inboxes, client: Client) -> None:
        self._pool, self._inboxes, self._client = pool, inboxes, client
        self._hearing = Hearing(pool)

    async def fetch(self, claim: Claim) -> Release:
        """Fetch and store every waiting file of one conversation. A file that is refused does not hold back the next."""
        async with self._pool.connection() as connection:
            rows = await fetch_all(connection, queries.waiting, {"conversation_id": claim.conversation_id})
        spoken: list[tuple[int, str, str]] = []
        for attachment_id, inbox_id, business_id, state, file, *columns in rows:
            attachment = Attachment(*columns)
            if state == "stored":
                spoken.append((attachment_id, file, attachment.mime_type))
                continue
            inbox = self._inboxes.get(inbox_id)
            if inbox is None:
                return Release(again_in=60, error="The inbox is not in service: see `prosa doctor`.")
            try:
                async with asyncio.timeout(FETCH_TIMEOUT_S):
                    stored = await self._store(inbox, business_id, attachment)
            except PermanentError as error:
                status = "refused" if isinstance(error, BadInput | NotAllowed) else "failed"
                await self._write(
                    claim,
                    queries.refused,
                    {"id": attachment_id, "status": status, "error": sql.clean(str(error)[:2000]).decode()},
                )
            else:
                hearing = wanted(attachment.kind)
                stored |= {"hearing": hearing, "error": unwanted(hearing)}
                await self._write(claim, queries.stored, {"id": attachment_id, **stored})
                if hearing == "waiting":
                    spoken.append((attachment_id, stored["file"], stored["mime_type"]))
        troubles = await asyncio.gather(*(self._hear(claim, *each) for each in spoken))
        if rows:
            await self._hearing.wake(claim.conversation_id)
        if later := next(filter(None, troubles), None):
            raise later
        return Release(again_in=0.0 if len(rows) == 20 else None)

    async def _hear(self, claim: Claim, attachment_id: int, file: str, mime_type: str) -> TemporaryError | None:
        """Write down one voice note; what prevents it for now does not hold back the next."""
        try:
            await self._hearing.write_down(attachment_id, claim.conversation_id, file, mime_type)
        except TemporaryError as error:
            return error
        async with self._pool.connection() as connection:
            await connection.execute(queries.heard, {"conversation_id": claim.conversation_id}, prepare=True)
        return None

    async def give_up(self, conversation_id: int) -> None:
        """Say on the attachments that nobody is trying any more."""
        async with self._pool.connection() as connection:
            await connection.execute(queries.give_up, {"conversation_id": conversation_id})
            await connection.execute(queries.unheard, {"conversation_id": conversation_id})
        await self._hearing.wake(conversation_id)

    async def _write(self, claim: Claim, query: bytes, parameters: dict[str, Any]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query, parameters, prepare=True)
            await connection.execute(queries.heard, {"conversation_id": claim.conversation_id}, prepare=True)

    async def _store(self, inbox: InboxConfig, business_id: int, attachment: Attachment) -> dict[str, Any]:
        media = await base.provider(inbox.kind).fetch(self._client, inbox, attachment)
        mime_type = (
            (media.mime_type or attachment.mime_type or "application/octet-stream").split(";")[0].strip().lower()
        )
        _check_type(attachment.kind, mime_type)
        limit = conf.settings().media_max_bytes
        if media.size > limit:
            raise TooLarge(f"The file has {media.size} bytes; {limit} are allowed.")
        with tempfile.TemporaryFile() as spool:
            size, digest = await _receive(media, spool, limit)
            expected = attachment.sha256 or media.sha256
            if expected and not _same_digest(expected, digest):
                raise BadInput("The file's checksum is not the one the provider announced.")
            spool.seek(0)
            suffix = mimetypes.guess_extension(mime_type) or ".bin"
            name = f"{business_id}/{datetime.now(UTC):%Y/%m}/{secrets.token_hex(16)}{suffix}"
            saved = await asyncio.to_thread(default_storage.save, name, File(spool, name=name))
        return {
            "file": saved,
            "mime_type": sql.clean(mime_type[:120]).decode(),
            "filename": sql.clean(media.filename[:255]).decode(),
            "sha256": digest.hex(),
            "size": size,
        }


async def _receive(media: Media, spool: BinaryIO, limit: int) -> tuple[int, bytes]:
    digest, size = hashlib.sha256(), 0

    def take(chunk: bytes) -> None:
        digest.update(chunk)
        spool.write(chunk)

    async for chunk in media.chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The file is larger than {limit} bytes.")
        await asyncio.to_thread(take, chunk)
    return size, digest.digest()


def _check_type(kind: str, mime_type: str) -> None:
    families = FAMILIES.get(kind)
    if mime_type in EXECUTABLE or (families and not mime_type.startswith(families)):
        raise BadInput(f"Files of type {mime_type} are not accepted as {kind}.")


def _same_digest(announced: str, digest: bytes) -> bool:
    """Meta announces SHA-256 in base64 in webhooks and in hex in the media answer (fixtures image.json, response_media_url.json)."""
    if announced.lower() == digest.hex():
        return True
    try:
        return base64.b64decode(announced, validate=True) == digest
    except (binascii.Error, ValueError):
        return False
