"""Fetches a page, or every page of a sitemap, as documents: politely, within limits, from public addresses only.

``robots.txt`` is obeyed. Each redirect is a new request, so its address is judged by the client's guard and by the
``robots.txt`` of its own host.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from prosa.errors import BadInput, NotAllowed, ProsaError, TemporaryError, TooLarge
from prosa.http import REDIRECTS, Client, Response
from prosa.knowledge.loaders import Loaded, load
from prosa.knowledge.loaders.html import moment

AGENT = "prosa"
"""The name ``robots.txt`` may address."""
MOST_PAGES = 1000
MOST_SITEMAPS = 50
"""Sitemaps read for one source, its index included."""
DEPTH = 3
"""Indexes within indexes."""
PAGE_BYTES = 10 * 1024 * 1024
SITEMAP_BYTES = 50 * 1024 * 1024
"""Bytes of a sitemap, unpacked: the limit of the sitemap protocol."""
ROBOTS_BYTES = 512 * 1024
HOPS = 5
NOT_MODIFIED = 304
LONGEST_PAUSE = 10.0
"""Seconds between two requests at most, whatever ``Crawl-delay`` asks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page a sitemap lists. ``date`` is its last change as the sitemap says, None when it does not."""

    url: str
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page as its server sent it, not yet read. ``url`` is where redirects led; ``etag`` and ``modified`` are for asking again."""

    url: str
    body: bytes
    mime: str
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A page that was not read, and why in two lines: what happened, what to do. ``passing``: a later try may succeed."""

    url: str
    reason: str
    passing: bool


class Site:
    """Reads pages with one client; asks each host for its ``robots.txt`` once.

    ``pause`` waits between requests when ``robots.txt`` asks for it.
    """

    def __init__(self, client: Client, *, pause: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._client = client
        self._pause = pause
        self._robots: dict[str, RobotFileParser] = {}

    async def page(self, url: str) -> Loaded:
        """One page or file as a document. Its ``url`` is where redirects led, its ``date`` what the page or server says.

        :raises NotAllowed: its address is refused, or ``robots.txt`` asks not to read it.
        :raises BadInput: it is not there, or cannot be read as a document.
        :raises TemporaryError: it cannot be reached now.
        """
        final, response = await self._get(url, PAGE_BYTES)
        return _document(final, response)

    async def fetch(self, url: str, *, etag: str = "", modified: str = "") -> Fetched | None:
        """One page or file as its server sends it; None when it is what it was by ``etag`` or ``modified``.

        :raises ProsaError: as :meth:`page` does for what cannot be fetched; its ``code`` is the status, where there was one.
        """
        asked = {"If-None-Match": etag, "If-Modified-Since": modified}
        final, response = await self._get(url, PAGE_BYTES, {name: said for name, said in asked.items() if said})
        if response.status == NOT_MODIFIED:
            return None
        told = response.headers
        mime, tag, changed = told.get("content-type", "text/html"), told.get("etag", ""), told.get("last-modified", "")
        if tag != _printable(tag) or changed != _printable(changed):
            tag = changed = ""
        return Fetched(final, response.body, mime, tag if len(tag) <= 300 else "", changed[:100])

    async def entries(self, url: str, *, most: int = MOST_PAGES) -> list[Entry]:
        """The pages a sitemap lists, those of the sitemaps it lists included, each once, in order; at most ``most``.

        Pages of other hosts are left out: a sitemap speaks for its own.

        :raises BadInput: it is no sitemap.
        """
        final, response = await self._get(url, SITEMAP_BYTES)
        return await self._listed(final, response, most)

    async def documents(self, url: str, *, most: int = MOST_PAGES) -> AsyncIterator[Loaded | Missed]:
        """Every page of a sitemap, or the one page when ``url`` is none, one at a time.

        :raises ProsaError: ``url`` itself cannot be read. What its pages raise becomes :class:`Missed`.
        """
        final, response = await self._get(url, SITEMAP_BYTES)
        if not _is_sitemap(response):
            yield _document(final, response)
            return
        for entry in await self._listed(final, response, most):
            try:
                found = await self.page(entry.url)
            except ProsaError as error:
                yield Missed(entry.url, str(error), isinstance(error, TemporaryError))
            else:
                yield Loaded(found.title, found.markdown, found.kind, found.url, found.date or entry.date)

    async def _listed(self, url: str, response: Response, most: int) -> list[Entry]:
        found: dict[str, Entry] = {}
        seen, waiting = {url}, [(url, response, 1)]
        asked = 1
        later: list[tuple[str, int]] = []
        while waiting or later:
            if not waiting:
                following, depth = later.pop(0)
                if asked >= MOST_SITEMAPS:
                    break
                asked += 1
                waiting.append((*await self._get(following, SITEMAP_BYTES), depth))
            here, answer, depth = waiting.pop()
            kind, listed = _sitemap(here, answer)
            for entry in listed:
                if _host(entry.url) != _host(url):
                    continue
                if kind == "urlset":
                    found.setdefault(entry.url, entry)
                    if len(found) >= most:
                        return list(found.values())
                elif depth < DEPTH and entry.url not in seen:
                    seen.add(entry.url)
                    later.append((entry.url, depth + 1))
        return list(found.values())

    async def _get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> tuple[str, Response]:
        current = _usable(url)
        for _ in range(HOPS + 1):
            await self._ask_leave(current)
            response = await self._client.request("GET", current, headers=headers, limit=limit)
            if headers and response.status == NOT_MODIFIED:
                return current, response
            target = response.headers.get("location")
            if response.status not in REDIRECTS or not target:
                return current, _good(current, response)
            current = _usable(target, current)
        raise NotAllowed(f"{url} redirects more than {HOPS} times.\nGive the address where it ends.")

    async def _ask_leave(self, url: str) -> None:
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}"
        if root not in self._robots:
            self._robots[root] = await self._rules(root)
        rules = self._robots[root]
        if not rules.can_fetch(AGENT, url):
            raise NotAllowed(
                f"The robots.txt of {parts.hostname} asks not to read {url}.\nAsk its owner to allow {AGENT!r}."
            )
        if delay := rules.crawl_delay(AGENT):
            await self._pause(min(float(delay), LONGEST_PAUSE))

    async def _rules(self, root: str) -> RobotFileParser:
        """As RFC 9309 says: no file (4xx) allows all, a server in trouble (5xx) allows nothing for now."""
        current = f"{root}/robots.txt"
        for _ in range(HOPS + 1):
            response = await self._client.request("GET", current, limit=ROBOTS_BYTES)
            target = response.headers.get("location")
            if response.status not in REDIRECTS or not target:
                break
            current = _usable(target, current)
        if response.status >= 500:
            raise TemporaryError(f"{root}/robots.txt answers {response.status}.\nIt will be tried again.")
        rules = RobotFileParser()
        rules.parse(response.body.decode("utf-8-sig", "replace").splitlines() if response.ok else [])
        return rules


def _usable(url: str, base: str = "") -> str:
    """An address as it is asked, without its fragment; ``base`` is the page that named it.

    :raises BadInput: it is none, or holds a password, which would be shown wherever the page is named as a source.
    """
    try:
        found = urldefrag(urljoin(base, url))[0]
        parts = urlsplit(found)
        secret, _port = parts.username is not None, parts.port
        found.encode()
    except ValueError:
        raise BadInput(f"{_printable(url)[:200]} is no address of the web.\nCorrect it.") from None
    if secret:
        raise BadInput(f"An address at {parts.hostname} holds a user name.\nPages behind a login are not read.")
    return found


def _printable(text: str) -> str:
    """What a server said, as PostgreSQL can hold it: headers may be any bytes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _good(url: str, response: Response) -> Response:
    if response.ok:
        return response
    if response.status in (408, 425, 429) or response.status >= 500:
        raise TemporaryError(f"{url} answers {response.status}.\nIt will be tried again.", code=str(response.status))
    raise BadInput(
        f"{url} answers {response.status}.\nCheck the address; pages behind a login are not read.",
        code=str(response.status),
    )


def _document(url: str, response: Response) -> Loaded:
    if len(response.body) > PAGE_BYTES:
        raise TooLarge(f"{url} is bigger than {PAGE_BYTES // 1024 // 1024} MB.\nAdd a smaller one.")
    found = load(response.body, url, response.headers.get("content-type", "text/html"))
    return Loaded(found.title, found.markdown, found.kind, url, found.date or _changed(response))


def _changed(response: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("last-modified", ""))
    except ValueError:
        return None


def _host(url: str) -> str:
    return (urlsplit(url).netloc or "").lower().removeprefix("www.")


def _unpacked(url: str, response: Response) -> bytes:
    if not response.body.startswith(b"\x1f\x8b"):
        return response.body
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = inflate.decompress(response.body, SITEMAP_BYTES)
    except zlib.error:
        raise BadInput(f"{url} is a broken gzip file.\nAsk the site's owner to publish it again.") from None
    if inflate.unconsumed_tail:
        raise TooLarge(f"{url} unpacks to more than {SITEMAP_BYTES // 1024 // 1024} MB.\nSplit the sitemap.")
    return body


def _is_sitemap(response: Response) -> bool:
    if response.body.startswith(b"\x1f\x8b"):
        return True
    start = response.body[:2048]
    return b"<urlset" in start or b"<sitemapindex" in start


def _sitemap(url: str, response: Response) -> tuple[str, list[Entry]]:
    """``urlset`` or ``sitemapindex``, and the addresses it lists."""
    import lxml.etree

    # Nothing of a document type is read: no entities, no files, no network.
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    body = _unpacked(url, response)
    try:
        root = lxml.etree.fromstring(body, parser)
    except lxml.etree.XMLSyntaxError as error:
        # Half a list would look as if the other half had been taken down.
        raise BadInput(f"{url} is broken XML: {error.msg}.\nAsk the site's owner to publish it again.") from None
    kind = lxml.etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise BadInput(f"{url} is no sitemap.\nGive the address of a sitemap.xml, or add the page itself.")
    entries: list[Entry] = []
    for one in root:
        said = {
            lxml.etree.QName(part).localname: (part.text or "").strip() for part in one if isinstance(part.tag, str)
        }
        if said.get("loc"):
            with suppress(BadInput):  # one line of rubbish is no reason not to read the rest
                entries.append(Entry(_usable(said["loc"], url), moment(said.get("lastmod", ""))))
    return kind, entries
