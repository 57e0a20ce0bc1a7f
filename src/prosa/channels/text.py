"""Text for people who read it in a chat: WhatsApp's marks instead of Markdown, and bubbles that break where one breathes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from prosa.contracts import Option

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# ``**Total:**R$ 10``: models write it, CommonMark does not read it, people see what was meant.
_GLUED_BOLD = re.compile(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(\w?)")
_MARKS = {"strong": "*", "em": "_", "s": "~"}
_SENTENCE_END = re.compile(r"[.!?…。！？][)\"'”’»]*\s")
_WHITESPACE = re.compile(r"\s")


# ── marks ─────────────────────────────────────────────────────────────────────────────────────────


def whatsapp(markdown: str) -> str:
    """Markdown in WhatsApp's marks: ``*bold*``, ``_italic_``, ``~strike~``, code in backticks.

    Headings become bold lines, links ``title (address)``, table rows list items, rules disappear. Text without
    Markdown stays what it is.
    """
    from markdown_it.tree import SyntaxTreeNode

    tree = SyntaxTreeNode(_parser().parse(_HTML_BREAK.sub("\n", markdown)))
    return _blocks(tree.children, "\n\n").strip()


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Off: what chat text contains by accident (indentation, underlines, reference definitions) and raw HTML.
    return (
        MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
        .enable(["table", "strikethrough"])
        .disable(["code", "lheading", "reference", "html_block", "html_inline"])
    )


def _blocks(nodes: Iterable[SyntaxTreeNode], gap: str) -> str:
    return gap.join(text for node in nodes if (text := _block(node)))


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "paragraph":
            return _inlines(node, "")
        case "heading":
            return _inlines(node, "*")
        case "fence" | "code_block":
            return f"```{node.content.rstrip()}```"
        case "blockquote":
            return "\n".join(f"> {line}" for line in _blocks(node.children, "\n").split("\n"))
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "table":
            return _table(node)
        case "hr":
            return ""
        case _:
            return _inlines(node, "") if node.children else node.content


def _list(node: SyntaxTreeNode) -> str:
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    lines = []
    for index, item in enumerate(node.children):
        mark = f"{start + index}{item.markup or '.'}" if node.type == "ordered_list" else "-"
        body = _blocks(item.children, "\n").replace("\n", "\n" + " " * (len(mark) + 1))
        lines.append(f"{mark} {body}".rstrip())
    return "\n".join(lines)


def _table(node: SyntaxTreeNode) -> str:
    rows = [[_inlines(cell, "") for cell in row.children] for part in node.children for row in part.children]
    titles, lines = rows[0], []
    for row in rows[1:] or [titles]:
        first, rest = row[0], row[1:]
        name = f"*{first}*" if first and "*" not in first else first
        if len(titles) == 2 or len(rows) == 1:
            lines.append("- " + ": ".join(cell for cell in (name, *rest) if cell))
        else:
            facts = [
                f"{title}: {cell}" if title else cell for title, cell in zip(titles[1:], rest, strict=False) if cell
            ]
            lines.append("- " + " — ".join(part for part in (name, "; ".join(facts)) if part))
    # Two columns share a heading; of more, each fact names its own column.
    heading = [title.replace("*", "") for title in (titles if len(titles) == 2 else titles[:1]) if title]
    if heading and len(rows) > 1:
        lines.insert(0, f"*{' / '.join(heading)}*")
    return "\n".join(lines)


def _inlines(node: SyntaxTreeNode, mark: str) -> str:
    return _marked(_inline(node.children, mark).strip(), mark)


def _inline(nodes: Iterable[SyntaxTreeNode], around: str) -> str:
    """``around``: the marks already open; none is opened twice."""
    out = []
    for node in nodes:
        match node.type:
            case "text":
                out.append(_GLUED_BOLD.sub(_unglued, node.content))
            case "softbreak" | "hardbreak":
                out.append("\n")
            case "code_inline":
                out.append(f"`{node.content}`")
            case "strong" | "em" | "s":
                mark = _MARKS[node.type]
                text = _inline(node.children, around + mark)
                out.append(text if mark in around else _marked(text, mark))
            case "link":
                out.append(_link(_inline(node.children, around), str(node.attrs.get("href", ""))))
            case "image":
                out.append(_link(node.content, str(node.attrs.get("src", ""))))
            case _:
                out.append(_inline(node.children, around) if node.children else node.content)
    return "".join(out)


def _unglued(found: re.Match[str]) -> str:
    return f"*{found[1]}* {found[2]}" if found[2] else f"*{found[1]}*"


def _marked(text: str, mark: str) -> str:
    # WhatsApp's marks end with the line.
    return "\n".join(f"{mark}{line}{mark}" if line and mark else line for line in text.split("\n"))


def _link(title: str, address: str) -> str:
    bare = unquote(address.removeprefix("mailto:").removeprefix("tel:"))
    if not address:
        return title
    shown = address if address.startswith("http") else bare
    if not title or _essence(title) == _essence(shown):
        return shown
    return f"{title} ({shown})"


def _essence(address: str) -> str:
    return address.lower().removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")


# ── bubbles ───────────────────────────────────────────────────────────────────────────────────────


def split(text: str, limit: int) -> list[str]:
    """``text`` in as few pieces as possible, none longer than ``limit`` UTF-16 units (as phones count; never fewer than characters).

    Breaks between paragraphs, else lines, sentences, words; inside a word (or address) only when it alone is too
    long, and never inside a character made of several code points. Only white space at the breaks is lost.
    """
    pieces, rest = [], text.strip()
    while rest:
        end = _fitting(rest, limit)
        if end < len(rest):
            end = _break(rest, end)
        if piece := rest[:end].rstrip():
            pieces.append(piece)
        rest = rest[end:].lstrip()
    return pieces


def numbered(options: Sequence[Option]) -> str:
    """Options as lines to answer with a number; empty when there are none."""
    return "\n".join(
        f"{number}. {one.title}" + (f" — {one.description}" if one.description else "")
        for number, one in enumerate(options, 1)
    )


def shorten(text: str, limit: int) -> str:
    """``text`` within ``limit`` UTF-16 units, with an ellipsis when something was cut."""
    if _fitting(text, limit) == len(text):
        return text
    return text[: _whole(text, _fitting(text, limit - 1))].rstrip() + "…"


def _fitting(text: str, limit: int) -> int:
    """How many characters of ``text`` fit."""
    if len(text) * 2 <= limit:
        return len(text)
    end = min(len(text), limit)
    while (excess := end + sum(char > "\uffff" for char in text[:end]) - limit) > 0:
        end -= max(1, excess // 2)
    return end


def _break(text: str, end: int) -> int:
    """The best place at or before ``end`` to break ``text``, which is longer."""
    window, late = text[: end + 1], end // 2
    for mark in ("\n\n", "\n"):
        if (at := window.rfind(mark, late)) > 0:
            return at
    sentences = [found.end() - 1 for found in _SENTENCE_END.finditer(window, late)]
    if sentences:
        return sentences[-1]
    spaces = [found.start() for found in _WHITESPACE.finditer(window)]
    if spaces:
        return spaces[-1]
    return _whole(text, end)


def _whole(text: str, end: int) -> int:
    """``end``, moved back so that no character made of several code points is cut; unmoved when the whole piece is one."""
    at = end
    while 0 < at < len(text) and _joined(text, at):
        at -= 1
    return at or end


def _joined(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if "\U0001f1e6" <= after <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff":
        flags = re.search("[\U0001f1e6-\U0001f1ff]+$", text[:at])
        return flags is not None and len(flags[0]) % 2 == 1
    return (
        before == "\u200d"
        or after == "\u200d"
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
    )
