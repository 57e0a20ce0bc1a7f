"""Which of a customer's files a model gets to see, and the sentence that stands in for the others.

A file is judged by its content, never by what it calls itself. Everything here is data for the customer's side of the
chat: the sentences never go into the instructions.

Sources of the limits: the providers' guides to vision and documents, kept below them for cost; pydantic-ai's
``messages.BinaryContent``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_ai.messages import BinaryContent

from prosa.agents.audio import real_type
from prosa.agents.memory import plain
from prosa.contracts import File

MEGABYTE: Final = 1024 * 1024
MAX_FILES: Final = 6
"""Files of one turn; the newest are shown."""
MAX_TOTAL: Final = 14 * MEGABYTE
"""Bytes of all files of one turn: base64 makes them a third more, and Gemini takes requests of 20 MB."""
MAX_PDF: Final = 10 * MEGABYTE
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
_OWN_SERVER: Final = _Eyes(frozenset({"image/jpeg", "image/png"}), 10 * MEGABYTE)
_NAMES: Final = {"image": "picture", "sticker": "sticker", "audio": "voice note", "video": "video", "document": "file"}


@dataclass(frozen=True, slots=True)
class Sight:
    """``contents`` is what to put after the question, in the files' order: a sentence for each file, and behind it the
    file itself when the model reads it. ``shown`` counts the files."""

    contents: tuple[str | BinaryContent, ...]
    shown: int


def look(
    files: Sequence[File], *, model: str, own_server: bool = False, text_of: Callable[[bytes], str] | None = None
) -> Sight:
    """What ``model`` (``provider:name``) gets of ``files``, oldest first. Reads them: call it in a thread.

    ``own_server``: an OpenAI-compatible server that is not OpenAI, of which we only trust that it may know pictures.
    ``text_of``: gives the text of a PDF that the model cannot read itself; what it raises counts as no text.
    """
    eyes = _eyes(model, own_server=own_server)
    shown: list[tuple[str | BinaryContent, ...]] = []
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
    return Sight(tuple(part for parts in reversed(shown) for part in parts), count)


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
    return f"the customer sent a {noun}" + (f" called {name}" if name else "")


def _unread(file: File, reason: str, kind: str = "") -> str:
    return f"[{_described(file, kind)} that cannot be read here: {reason}]"
