"""Cuts a document in Markdown into passages small enough to be found and quoted.

What a reader may rely on: a passage never crosses a heading; a row of a table is never cut, and every passage with rows
begins with the table's header; list items and sentences stay whole while they fit; nothing of the document is left out,
and the same document gives the same passages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

TARGET = 320
"""Tokens a passage may have: a few paragraphs. Small embedding models read 256 to 512."""
OVERLAP = 40
"""Tokens of the last sentences that are said again when one long paragraph goes on in the next passage."""
LONGEST_WORD = 2000
"""Characters after which a "word" (a key, an encoded picture) is cut like any text."""
LONGEST_SECTION = 300
"""Characters kept of a section path."""
ABOVE = " > "
"""Stands between the headings of a section path."""

_SENTENCE = re.compile(r"(?<=[.!?…;:])[\"'”’)\]]*\s+|\n+")
_WORD = re.compile(r"\S+\s*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage. ``section``: the headings it stands under, ``"Entrega > Prazos"``, empty before the first.

    ``text`` is Markdown; a passage that opens its section begins with the heading itself. ``tokens`` is an estimate of its size.
    """

    ordinal: int
    section: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is never cut further. ``glue`` stands between it and the piece before; ``head`` is its table's header.

    ``paragraph`` numbers the long paragraph it was cut from (0: none); ``together`` is the size of the table it opens.
    """

    text: str
    glue: str = "\n\n"
    head: str = ""
    paragraph: int = 0
    together: int = 0


def size(text: str) -> int:
    """Estimated tokens, on the high side for Portuguese, Spanish and English: 3.5 bytes each."""
    return len(text.encode("utf-8", "surrogatepass")) * 2 // 7 + 1


def chunks(markdown: str, *, title: str = "", target: int = TARGET, overlap: int = OVERLAP) -> list[Chunk]:
    """The passages of a document, in its order; none when it is blank.

    A first-level heading that only repeats ``title`` is text, but not part of the section path. ``target`` and ``overlap``
    are in tokens; a single row of a table or a single word may be bigger than ``target``.
    """
    if not 0 <= overlap < target:
        raise ValueError("overlap must be smaller than target.\nGive 0 for none.")
    found: list[Chunk] = []
    for section, pieces in _sections(markdown, title, target):
        for text in _packed(pieces, target, overlap):
            found.append(Chunk(len(found), section, text, size(text)))
    return found


# ── from Markdown to sections of pieces ───────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Only blocks matter here; reading every paragraph for bold and links would take most of the time.
    return MarkdownIt("commonmark").enable("table").disable("inline")


@lru_cache(maxsize=1)
def _inline() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _sections(markdown: str, title: str, target: int) -> Iterator[tuple[str, list[_Piece]]]:
    path: list[tuple[int, str]] = []
    pieces: list[_Piece] = []
    only_headings = True
    paragraphs = 0
    for block in _blocks(markdown):
        if block.level:
            deeper = not path or block.level > path[-1][0]
            if pieces and not (only_headings and deeper):
                yield _path(path), pieces
                pieces, only_headings = [], True
            path = [above for above in path if above[0] < block.level]
            if not (block.level == 1 and block.heading.casefold() == title.strip().casefold()):
                path.append((block.level, block.heading))
            pieces.append(_Piece(block.text))
            continue
        paragraphs += 1
        pieces.extend(_pieces(block, paragraphs, target))
        only_headings = False
    if pieces:
        yield _path(path), pieces


def _path(headings: Sequence[tuple[int, str]]) -> str:
    return ABOVE.join(heading for _, heading in headings if heading)[:LONGEST_SECTION]


@dataclass(frozen=True, slots=True)
class _Block:
    """A top-level block, verbatim. ``level`` 1 to 6 for a heading. ``rows`` of a table, ``items`` of a list."""

    text: str
    level: int = 0
    heading: str = ""
    rows: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    code: bool = False


def _blocks(markdown: str) -> Iterator[_Block]:
    """Every line that is not blank is in exactly one block, also those the parser makes nothing of."""
    source = markdown.replace("\r\n", "\n").replace("\r", "\n")
    lines = source.split("\n")
    tokens = _parser().parse(source)
    done = 0
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = token.map
        # Link definitions have no token.
        if between := _joined(lines[done:start]):
            yield _Block(between)
        done = max(done, end)
        if text := _joined(lines[max(start, 0) : end]):
            yield _block(token, tokens, index, lines, text)
    if rest := _joined(lines[done:]):
        yield _Block(rest)


def _block(token: Token, tokens: Sequence[Token], index: int, lines: Sequence[str], text: str) -> _Block:
    start, end = token.map or (0, 0)
    match token.type:
        case "heading_open":
            return _Block(text, level=int(token.tag[1:]), heading=_plain(tokens[index + 1].content))
        case "table_open":
            rows = [line for line in lines[start:end] if line.strip()]
            return _Block(text, rows=tuple(rows)) if len(rows) > 2 else _Block(text)
        case "bullet_list_open" | "ordered_list_open":
            return _Block(text, items=tuple(_items(tokens, index, lines, end)))
        case "fence" | "code_block":
            return _Block(text, code=True)
        case _:
            return _Block(text)


def _items(tokens: Sequence[Token], index: int, lines: Sequence[str], end: int) -> Iterator[str]:
    starts = []
    for token in tokens[index + 1 :]:
        if token.level == 0:
            break
        if token.level == 1 and token.type == "list_item_open" and token.map:
            starts.append(token.map[0])
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        if item := _joined(lines[start:stop]):
            yield item


def _joined(lines: Sequence[str]) -> str:
    """The lines without blank ones around them; the first keeps its indentation, which means something in Markdown."""
    text = "\n".join(lines)
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip() if text.strip() else ""


def _plain(heading: str) -> str:
    """``"**Prazos** de [entrega](x)"`` → ``"Prazos de entrega"``."""
    children = _inline().parseInline(heading)[0].children or []
    return " ".join("".join(child.content or " " * (child.type == "softbreak") for child in children).split())


def _pieces(block: _Block, paragraph: int, target: int) -> Iterator[_Piece]:
    if block.rows:
        head = "\n".join(block.rows[:2])
        for place, row in enumerate(block.rows[2:]):
            yield _Piece(row, "\n" if place else "\n\n", head, together=0 if place else size(block.text))
    elif block.items:
        for place, item in enumerate(block.items):
            yield from _cut(item, "\n" if place else "\n\n", paragraph, target)
    elif block.code and size(block.text) > target:
        for place, line in enumerate(block.text.split("\n")):
            yield from _cut(line, "\n" if place else "\n\n", 0, target)
    else:
        yield from _cut(block.text, "\n\n", paragraph, target)


def _cut(text: str, glue: str, paragraph: int, target: int) -> Iterator[_Piece]:
    """The text whole when it fits, else its sentences, else its words."""
    if size(text) <= target:
        yield _Piece(text, glue)
        return
    for sentence in _split(text, _SENTENCE):
        # Many words to a piece: one each would make the packing slow.
        for part in [sentence] if size(sentence) <= target // 4 else _runs(sentence, target // 4):
            bare = part.rstrip()
            if bare:
                yield _Piece(bare, glue, paragraph=paragraph)
                glue = ""
            glue += part[len(bare) :]


def _split(text: str, where: re.Pattern[str]) -> Iterator[str]:
    done = 0
    for match in where.finditer(text):
        yield text[done : match.end()]
        done = match.end()
    if done < len(text):
        yield text[done:]


def _runs(sentence: str, most: int) -> Iterator[str]:
    run, used = "", 0
    indent = sentence[: len(sentence) - len(sentence.lstrip())]
    for word in _WORD.findall(sentence):
        for start in range(0, len(word), LONGEST_WORD):
            part = word[start : start + LONGEST_WORD]
            cost = size(part)
            if run and used + cost > most:
                yield run
                run, used = "", 0
            run, used = (run or indent) + part, used + cost
            indent = ""
    if run:
        yield run


# ── from pieces to passages ───────────────────────────────────────────────────────────────────────


def _packed(pieces: Sequence[_Piece], target: int, overlap: int) -> Iterator[str]:
    held: list[_Piece] = []
    used = fresh = 0
    for piece in pieces:
        cost = _cost(piece, held)
        # A table that fits whole into a passage of its own is not begun at the foot of a full one.
        apart = piece.together <= target < used + piece.together and used > target // 4
        if fresh and (used + cost > target or apart):
            yield _text(held)
            held = _again(held, piece, overlap)
            used, fresh = sum(size(one.text) for one in held), 0
            cost = _cost(piece, held)
        held.append(piece)
        used += cost
        fresh += 1
    if fresh:
        yield _text(held)


def _cost(piece: _Piece, held: Sequence[_Piece]) -> int:
    begins = piece.head and (not held or held[-1].head != piece.head or piece.together)
    return size(piece.text) + (size(piece.head) if begins else 0)


def _again(held: Sequence[_Piece], coming: _Piece, overlap: int) -> list[_Piece]:
    """The last sentences of a paragraph that goes on, at most ``overlap`` tokens of them."""
    said: list[_Piece] = []
    room = overlap
    for piece in reversed(held):
        room -= size(piece.text)
        if not coming.paragraph or piece.paragraph != coming.paragraph or room < 0:
            break
        said.insert(0, piece)
    return said


def _text(held: Sequence[_Piece]) -> str:
    parts: list[str] = []
    for place, piece in enumerate(held):
        begins = piece.head and (place == 0 or piece.together or held[place - 1].head != piece.head)
        if begins:
            parts += ["\n\n" if place else "", piece.head, "\n", piece.text]
        else:
            parts += [piece.glue if place else "", piece.text]
    return "".join(parts)
