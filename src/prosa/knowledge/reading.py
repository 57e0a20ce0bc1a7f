"""Reads strangers' files in a process of its own, so that a bad one costs its time and memory and nobody else's.

Run as ``python -m prosa.knowledge.reading`` it is that process: without Django, without the environment's secrets, with a
limit of memory. It answers one request after the other on its standard input and output: a frame is four bytes of
length, a JSON object, and after a request's object the ``size`` bytes of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, BinaryIO, Self

from prosa.errors import BadInput, TooLarge
from prosa.knowledge import chunking
from prosa.knowledge.language import language
from prosa.knowledge.loaders import load

VERSION = 1
"""Goes up when the same bytes give other passages: then everything is read again."""
LONGEST_S = 60.0
"""Seconds one document may take."""
MEMORY = 2 * 1024**3
"""Bytes of address space of the process."""

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Read:
    """A document in passages: each its text, its section and its language."""

    title: str
    language: str
    pieces: tuple[tuple[str, str, str], ...]
    dated_at: datetime | None = None


@dataclass(slots=True)
class Reader:
    """The process, started with the first document and again after it was ended by one. Use as ``async with Reader()``."""

    longest_s: float = LONGEST_S
    memory: int = MEMORY
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def read(self, data: bytes, name: str, mime: str = "") -> Read:
        """The document in ``data``. ``name`` and ``mime`` are what it claims to be.

        :raises BadInput: it cannot be read (``TooLarge``: it is beyond a limit, of time and memory too).
        """
        try:
            async with asyncio.timeout(self.longest_s):
                answer = await self._ask(data, name, mime)
        except TimeoutError:
            await self._end()
            raise TooLarge(f"{name} takes longer than {self.longest_s:.0f} s to read.\nSplit it.") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._end()
            raise TooLarge(f"{name} takes more memory than one document may.\nSplit it, or save it again.") from None
        except asyncio.CancelledError:
            # Half a frame is in the pipe.
            await self._end()
            raise
        if "error" in answer:
            raise (TooLarge if answer["large"] else BadInput)(answer["error"])
        dated = datetime.fromisoformat(answer["dated_at"]) if answer["dated_at"] else None
        pieces = tuple((text, section, spoken) for text, section, spoken in answer["pieces"])
        return Read(answer["title"], answer["language"], pieces, dated)

    async def _ask(self, data: bytes, name: str, mime: str) -> Any:
        process = self._process = self._process or await self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("The reader was started without its pipes.")
        process.stdin.write(_frame({"name": name, "mime": mime, "size": len(data), "seconds": ceil(self.longest_s)}))
        process.stdin.write(data)
        await process.stdin.drain()
        (size,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
        return json.loads(await process.stdout.readexactly(size))

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *_command(self.memory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            # Ctrl-C on a terminal is for the one who asked; this process ends when its input does.
            start_new_session=True,
        )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


def text(data: bytes, name: str, mime: str = "", *, longest_s: float = LONGEST_S, memory: int = MEMORY) -> str:
    """The Markdown of one document, read in a process that ends with it. Blocks.

    :raises BadInput: as :meth:`Reader.read` does.
    """
    asked = _frame({"name": name, "mime": mime, "size": len(data), "seconds": ceil(longest_s), "whole": True})
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            _command(memory),
            input=asked + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TooLarge(f"{name} takes longer than {longest_s:.0f} s to read.\nSplit it.") from None
    if len(done.stdout) <= _LENGTH.size:
        raise TooLarge(f"{name} takes more memory than one document may.\nSplit it, or save it again.")
    answer = json.loads(done.stdout[_LENGTH.size :])
    if "error" in answer:
        raise (TooLarge if answer["large"] else BadInput)(answer["error"])
    return str(answer["markdown"])


def _command(memory: int) -> list[str]:
    return [sys.executable, "-m", "prosa.knowledge.reading", str(memory)]


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "utf-8"}


def pieces(title: str, markdown: str, otherwise: str = "") -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """The language of a Markdown document, and its passages: text, section, language."""
    spoken = language(markdown, otherwise)
    found = chunking.chunks(markdown, title=title)
    return spoken, tuple((each.text, each.section, language(each.text, spoken)) for each in found)


def _frame(told: Any) -> bytes:
    body = json.dumps(told).encode()
    return _LENGTH.pack(len(body)) + body


def _answer(request: Any, data: bytes) -> Any:
    name = request["name"]
    try:
        loaded = load(data, name, request["mime"])
        if request.get("whole"):
            return {"markdown": loaded.markdown}
        spoken, found = pieces(loaded.title, loaded.markdown)
    except BadInput as error:
        return {"error": str(error), "large": isinstance(error, TooLarge)}
    except MemoryError:
        return {"error": f"{name} takes more memory than one document may.\nSplit it, or save it again.", "large": True}
    except Exception as error:  # noqa: BLE001 -- whatever a stranger's file breaks, the next document is read
        broken = f"{name} cannot be read: {type(error).__name__}.\nOpen it, save it again, and add that."
        return {"error": broken, "large": False}
    dated = loaded.date.isoformat() if loaded.date else ""
    return {"title": loaded.title, "language": spoken, "pieces": found, "dated_at": dated}


def _serve(given: BinaryIO, told: BinaryIO) -> None:
    while header := given.read(_LENGTH.size):
        request = json.loads(given.read(_LENGTH.unpack(header)[0]))
        data = given.read(request["size"])
        # Should its parent be gone, nobody else ends it.
        signal.alarm(request["seconds"] + 10)
        told.write(_frame(_answer(request, data)))
        signal.alarm(0)
        told.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
    # What a parser prints must not get between the frames.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, answers)
