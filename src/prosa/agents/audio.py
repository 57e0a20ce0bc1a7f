"""What a file really is, by its first bytes, and how long an Ogg lasts. What a stranger calls it proves nothing."""

from __future__ import annotations

from typing import Final

_MARKS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"\x1a\x45\xdf\xa3", "audio/webm"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS: Final = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avif": "image/avif",
}
_PDF_WITHIN: Final = 1024  # readers accept rubbish before the header up to here
_OPUS_RATE: Final = 48_000  # Ogg Opus counts in 48 kHz whatever was recorded (RFC 7845, section 4)


def real_type(data: bytes) -> str:
    """The MIME type the content itself shows, or nothing when it is none of those we know.

    Of containers that hold sound or film alike, WebM is called ``audio/webm`` and MP4 ``video/mp4`` unless its brand
    says otherwise.
    """
    for mark, mime in _MARKS:
        if data.startswith(mark):
            return mime
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    if len(data) > 2 and data[0] == 0xFF:
        if data[1] & 0xF6 == 0xF0:
            return "audio/aac"
        if data[1] & 0xE0 == 0xE0 and data[1] & 0x06:
            return "audio/mpeg"
    return "application/pdf" if b"%PDF-" in data[:_PDF_WITHIN] else ""


def is_opus(data: bytes) -> bool:
    """Whether it is Opus in Ogg, the form of a voice note."""
    return data.startswith(b"OggS") and b"OpusHead" in data[:128]


def seconds(data: bytes) -> float | None:
    """How long an Ogg Opus file lasts, by its last page; None for anything else, and for one that has no end."""
    head = data.find(b"OpusHead", 0, 128)
    if not data.startswith(b"OggS") or head < 0:
        return None
    last = data.rfind(b"OggS")
    if last <= 0 or len(data) < max(last + 14, head + 12):
        return None
    skipped = int.from_bytes(data[head + 10 : head + 12], "little")
    granule = int.from_bytes(data[last + 6 : last + 14], "little", signed=True)
    return max(0, granule - skipped) / _OPUS_RATE if granule >= 0 else None
