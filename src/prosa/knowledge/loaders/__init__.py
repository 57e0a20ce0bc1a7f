"""Files of strangers become Markdown: what they are, how big they may be, and what is said when they cannot be read."""

from prosa.knowledge.loaders.file import (
    MOST_BYTES,
    MOST_CHARACTERS,
    SUFFIXES,
    Loaded,
    load,
)

__all__ = ["MOST_BYTES", "MOST_CHARACTERS", "SUFFIXES", "Loaded", "load"]
