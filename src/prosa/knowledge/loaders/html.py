"""HTML becomes Markdown: what a visitor reads, without scripts, menus and cookie banners."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from prosa.errors import BadInput, TooLarge
from prosa.knowledge.loaders.text import decoded

MOST_DEPTH = 200
"""Elements within elements; real pages have some thirty."""
MOST_ELEMENTS = 100_000
"""Elements of a page: some ten seconds of work; big pages have a few thousand."""
TIMES = range(1900, 2200)
"""Years a page may be from. The year 1 and 9999 are what templates leave, and in another time zone no year at all."""

_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)
_NOT_READ = (
    "script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "audio", "video",
    "nav", "form", "button", "select", "input", "textarea", "dialog", "img", "picture",
)  # fmt: skip
_HIDDEN = (
    '[hidden], [aria-hidden="true"], [role="navigation"], [role="search"], [role="dialog"], [role="banner"], '
    '[style*="display:none"], [style*="display: none"]'
)
_DATES = ("article:modified_time", "article:published_time", "last-modified", "date", "dcterms.modified")


def page(data: bytes, name: str, charset: str = "") -> tuple[str, str, datetime | None]:
    """Title, Markdown and, when the page says it, the date it was last changed.

    :raises BadInput: it is no text, or nested too deep to be a page.
    :raises TooLarge: it has more than :data:`MOST_ELEMENTS`.
    """
    from bs4 import BeautifulSoup

    told = _CHARSET.search(data[:4096])
    text = decoded(data, name, charset or (told[1].decode("ascii", "replace") if told else ""))
    try:
        soup = BeautifulSoup(text, "lxml")  # closes what old pages leave open; html.parser nests it
        _refuse_monsters(soup, name)
        title, date = _title(soup), _date(soup)
        return title, _markdown(soup), date
    except RecursionError:
        raise _too_deep(name) from None


def _refuse_monsters(soup: Any, name: str) -> None:
    count = 0
    # Walks the tree without recursion, in the order of the document.
    for element in soup.descendants:
        if isinstance(element, str):
            continue
        count += 1
        if count > MOST_ELEMENTS:
            raise TooLarge(f"{name} has more than {MOST_ELEMENTS:,} elements.\nSplit it.")
        if sum(1 for _ in element.parents) > MOST_DEPTH:
            raise _too_deep(name)


def _too_deep(name: str) -> BadInput:
    return BadInput(f"{name} is nested too deep to be a page.\nSave it again from a browser, or paste its text.")


def _title(soup: Any) -> str:
    named = soup.find("meta", property="og:title")
    shown = soup.find("h1")
    for text in (
        soup.title.get_text() if soup.title else "",
        named.get("content", "") if named else "",
        shown.get_text(" ") if shown else "",
    ):
        if str(text).strip():
            return " ".join(str(text).split())
    return ""


def _date(soup: Any) -> datetime | None:
    said = {str(meta.get("property") or meta.get("name") or "").lower(): meta.get("content") for meta in soup("meta")}
    for key in _DATES:
        if found := moment(str(said.get(key) or "")):
            return found
    return None


def moment(text: str) -> datetime | None:
    """An ISO 8601 date or time; without a zone it counts as UTC. None when it is no date, or not of our :data:`TIMES`."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if found.year not in TIMES:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _markdown(soup: Any) -> str:
    from markdownify import markdownify

    for element in soup(["head", *_NOT_READ]):
        element.decompose()
    for element in soup.select(_HIDDEN):
        element.decompose()
    main = soup.find("main") or soup.find(attrs={"role": "main"})
    # Some sites leave <main> empty and fill it by script.
    whole = main if main is not None and len(main.get_text(strip=True)) > 80 else soup
    for header in whole.find_all("header"):
        if header.find_parent(["article", "main"]) is None and header.find(["h1", "h2"]) is None:
            header.decompose()
    for string in [string for found in whole.find_all(["td", "th"]) for string in found.find_all(string=True)]:
        string.replace_with(str(string).replace("|", "\\|"))
    text = markdownify(
        str(whole), heading_style="ATX", bullets="-", strip=["a"], escape_underscores=False, table_infer_header=True
    )
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
