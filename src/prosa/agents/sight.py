"""Which of a customer's files a model gets to see, and the sentence that stands in for the others.

A file is judged by its content, never by what it calls itself. Everything here is data for the customer's side of the
chat: the sentences never go into the instructions.

Sources of the limits: the providers' guides to vision and documents, kept below them for cost; pydantic-ai's
``messages.BinaryContent``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, ModelRequestPart, UserPromptPart

from prosa.agents.audio import real_type
from prosa.agents.memory import plain
from prosa.contracts import File, Turn

MEGABYTE: Final = 1024 * 1024
MAX_FILES: Final = 6
"""Files of one turn; the newest are shown."""
MAX_TOTAL: Final = 14 * MEGABYTE
"""Bytes of all files of one turn: base64 makes them a third more, and Gemini takes requests of 20 MB."""
MAX_PDF: Final = 10 * MEGABYTE
READING_SECONDS: Final = 15.0
MAX_TEXT: Final = 12_000
"""Characters of a document's text that stand in for it."""

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
_PDF: Final = "application/pdf"
_BLIND: Final = re.compile(r"^(?:gpt-3\.5|gpt-4-0|gpt-4$|o1-mini|o3-mini|deepseek|text-)")


@dataclass(frozen=True, slots=True)
class _Eyes:
    """What a provider's models read. ``image_bytes``: the largest picture."""

    types: frozenset[str]
    image_bytes: int


_EYES: Final = {
    "openai": _Eyes(_IMAGES | {_PDF}, 10 * MEGABYTE),
    "openai-chat": _Eyes(_IMAGES | {_PDF}, 10 * MEGABYTE),
    "google": _Eyes(frozenset({"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif", _PDF}), MAX_TOTAL),
    "anthropic": _Eyes(_IMAGES | {_PDF}, 5 * MEGABYTE),
}
_BLINDED: Final = "[it cannot be read here]"
_OWN_SERVER: Final = _Eyes(frozenset({"image/jpeg", "image/png"}), 10 * MEGABYTE)
_NAMES: Final = {"image": "picture", "sticker": "sticker", "audio": "voice note", "video": "video", "document": "file"}


@dataclass(frozen=True, slots=True)
class Sight:
    """``contents`` is what to put after the question, in the files' order: a sentence for each file, and behind it the
    file itself when the model reads it. ``shown`` counts the files. ``texts`` is all of it that is text, and the text of the
    documents shown: what the customer told us by them."""

    contents: tuple[str | BinaryContent, ...]
    shown: int
    texts: tuple[str, ...] = ()


async def show(
    turn: Turn, model: str, messages: Sequence[ModelMessage], *, own_server: bool
) -> tuple[list[ModelMessage], Sight]:
    """``messages`` with the files of the turn's question behind its text, as far as ``model`` reads them."""
    files = [file for line in turn.question for file in line.files]
    try:
        async with asyncio.timeout(READING_SECONDS):
            seen = await asyncio.to_thread(look, files, model=model, own_server=own_server, text_of=turn.document_text)
    except TimeoutError:
        told = tuple(_unread(file, "reading it took too long") for file in files)
        seen = Sight(told, 0, told)
    return _behind(messages, seen.contents), seen


def blinded(messages: Sequence[ModelMessage]) -> list[ModelMessage] | None:
    """``messages`` with a sentence in the place of each file; None when they hold none."""
    kept: list[ModelMessage] = []
    found = False
    for message in messages:
        parts: list[ModelRequestPart] = []
        for part in message.parts if isinstance(message, ModelRequest) else ():
            if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
                found = found or any(isinstance(each, BinaryContent) for each in part.content)
                told = [_BLINDED if isinstance(each, BinaryContent) else each for each in part.content]
                parts.append(replace(part, content=told))
            else:
                parts.append(part)
        kept.append(replace(message, parts=parts) if isinstance(message, ModelRequest) else message)
    return kept if found else None


def _behind(messages: Sequence[ModelMessage], contents: Sequence[str | BinaryContent]) -> list[ModelMessage]:
    """The last thing the customer said, with ``contents`` behind its words."""
    made = list(messages)
    for place in range(len(made) - 1, -1, -1):
        message = made[place]
        if isinstance(message, ModelRequest) and any(isinstance(part, UserPromptPart) for part in message.parts):
            parts = [
                replace(part, content=[_words(part.content), *contents]) if isinstance(part, UserPromptPart) else part
                for part in message.parts
            ]
            made[place] = replace(message, parts=parts)
            break
    return made


def _words(content: str | Sequence[object]) -> str:
    return content if isinstance(content, str) else str(content[0])


def look(
    files: Sequence[File], *, model: str, own_server: bool = False, text_of: Callable[[bytes], str] | None = None
) -> Sight:
    """What ``model`` (``provider:name``) gets of ``files``, oldest first. Reads them: call it in a thread.

    ``own_server``: an OpenAI-compatible server that is not OpenAI, of which we only trust that it may know pictures.
    ``text_of``: gives the text of a PDF that the model cannot read itself; what it raises counts as no text.
    """
    eyes = _eyes(model, own_server=own_server)
    shown: list[tuple[str | BinaryContent, ...]] = []
    told: list[str] = []
    left = MAX_TOTAL
    count = 0
    for file in reversed(files):  # the newest are the question's
        if count >= MAX_FILES:
            shown.append((_unread(file, "there are too many files"),))
            continue
        contents, used = _one(file, eyes, left, text_of)
        left -= used
        count += used > 0
        shown.append(contents)
        if used and isinstance(pdf := contents[-1], BinaryContent) and pdf.media_type == _PDF:
            told.append(_text(pdf.data, text_of))
    contents = tuple(part for parts in reversed(shown) for part in parts)
    return Sight(contents, count, (*(part for part in contents if isinstance(part, str)), *filter(None, told)))


def _eyes(model: str, *, own_server: bool) -> _Eyes | None:
    provider, _, name = model.partition(":")
    if provider.startswith("openai"):
        if _BLIND.match(name):
            return None
        if own_server:
            return _OWN_SERVER
    return _EYES.get(provider)


def _one(
    file: File, eyes: _Eyes | None, left: int, text_of: Callable[[bytes], str] | None
) -> tuple[tuple[str | BinaryContent, ...], int]:
    """What stands for one file, and the bytes it takes of the turn."""
    limit = min(left, max(MAX_PDF, eyes.image_bytes if eyes else 0))
    if file.size > limit:
        return (_unread(file, "it is too large"),), 0
    try:
        with file.path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError:
        return (_unread(file, "it is not here any more"),), 0
    kind = real_type(data)
    if reason := _refused(data, kind, eyes, limit):
        if kind == _PDF and (text := _text(data, text_of)):
            return (f"[{_described(file, kind)}; its text follows, up to the line that says where it ends]", text, "[end of the file's text]"), 0  # fmt: skip
        return (_unread(file, reason, kind),), 0
    return (f"[{_described(file, kind)}]", BinaryContent(data, media_type=kind)), len(data)


def _refused(data: bytes, kind: str, eyes: _Eyes | None, limit: int) -> str:
    if not data:
        return "it is empty"
    if eyes is None or kind not in eyes.types:
        return "this kind of file cannot be read"
    if len(data) > limit or len(data) > (MAX_PDF if kind == _PDF else eyes.image_bytes):
        return "it is too large"
    if _animated(data, kind):
        return "it moves"
    if kind == _PDF and b"/Encrypt" in data:
        return "it is protected by a password"
    return ""


def _animated(data: bytes, kind: str) -> bool:
    """Animations are refused by some providers with the whole request."""
    if kind == "image/gif":
        return b"NETSCAPE2.0" in data[:4096]
    return kind == "image/webp" and data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & 2)


def _text(data: bytes, text_of: Callable[[bytes], str] | None) -> str:
    if text_of is None:
        return ""
    try:
        text = plain(text_of(data)).strip()
    except Exception:  # noqa: BLE001  a stranger's document may break its reader in any way
        return ""
    # A document must not be able to end its own fence.
    text = text.replace("[", "(").replace("]", ")")
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n(… {len(text) - MAX_TEXT} characters left out)"


def _described(file: File, kind: str = "") -> str:
    family = kind.partition("/")[0]
    if kind == _PDF:
        noun = "PDF document"
    elif file.kind in {"document", "sticker"} or family not in _NAMES:
        noun = "picture" if file.kind == "document" and family == "image" else _NAMES.get(file.kind, "file")
    else:
        noun = _NAMES[family]
    name = " ".join(plain(file.name).split())[:80].replace("[", "(").replace("]", ")")
    return f"the customer sent a {noun} of {file.size} bytes" + (f" called {name}" if name else "")


def _unread(file: File, reason: str, kind: str = "") -> str:
    return f"[{_described(file, kind)} that cannot be read here: {reason}]"
