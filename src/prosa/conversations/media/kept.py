"""Files of ours under a name that says what is in them: there whole, or not there at all.

Whoever finds such a file takes it as it is, so that half of one, left by a process that was killed, would stay for good.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

PART: Final = ".part"
_ABANDONED_S: Final = 86_400


def keep(name: str, content: IO[bytes]) -> str:
    """Store ``content`` as exactly ``name`` in the default storage, in the place of what is there. Blocks.

    A storage that is not a folder (an object store) shows what it was given only once all of it has arrived.
    """
    try:
        path = Path(default_storage.path(name))
    except NotImplementedError:
        return default_storage.save(name, File(content, name=name))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}{PART}")
    try:
        with part.open("xb") as written:
            shutil.copyfileobj(content, written)
            written.flush()
            os.fsync(written.fileno())  # else a power cut may leave the name and lose what is in it
        if settings.FILE_UPLOAD_PERMISSIONS is not None:
            part.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return name


def forget_parts() -> None:
    """Delete what processes that were killed left unfinished a day ago or earlier."""
    try:
        root = Path(default_storage.path(""))
    except NotImplementedError:
        return
    limit = time.time() - _ABANDONED_S
    for part in root.rglob(f".*{PART}"):
        if part.stat().st_mtime < limit:
            part.unlink(missing_ok=True)
