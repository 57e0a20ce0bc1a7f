"""Fetches a page, and lists those of a sitemap: politely, within limits, from public addresses only.

``robots.txt`` is obeyed. Each redirect is a new request, so its address is judged by the client's guard and by the
``robots.txt`` of its own host.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from prosa.errors import BadInput, NotAllowed, TemporaryError, TooLarge
from prosa.http import REDIRECTS, Client, Response
from prosa.knowledge.loaders.html import TIMES

AGENT = "prosa"
"""The name ``robots.txt`` may address."""
MOST_PAGES = 1000
MOST_SITEMAPS = 50
"""Sitemaps read for one source, its index included."""
MOST_LISTED = 50_000
"""Addresses of one sitemap that are looked at: the limit of the sitemap protocol."""
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
class Fetched:
    """A page as its server sent it, not yet read. ``url`` is where redirects led; ``etag`` and ``modified`` are for asking again."""

    url: str
    body: bytes
    mime: str
    etag: str = ""
    modified: str = ""


class Site:
    """Reads pages with one client; asks each host for its ``robots.txt`` once.

    ``pause`` waits between requests when ``robots.txt`` asks for it.
    """

    def __init__(self, client: Client, *, pause: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._client = client
        self._pause = pause
        self._robots: dict[str, RobotFileParser] = {}

    async def fetch(self, url: str, *, etag: str = "", modified: str = "") -> Fetched | None:
        """One page or file as its server sends it; None when it is what it was by ``etag`` or ``modified``.

        :raises NotAllowed: its address is refused, or ``robots.txt`` asks not to read it.
        :raises BadInput: it is not there, or is no address; ``code`` is the status, where there was one.
        :raises TooLarge: it is bigger than :data:`PAGE_BYTES`.
        :raises TemporaryError: it cannot be reached now; ``code`` likewise.
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

    async def pages(self, url: str, *, most: int = MOST_PAGES) -> list[str]:
        """The pages a sitemap lists, those of the sitemaps it lists included, each once, in order; at most ``most``.

        Pages of other hosts are left out: a sitemap speaks for its own.

        :raises BadInput: it is no sitemap.
        """
        final, response = await self._get(url, SITEMAP_BYTES)
        here, host = final, _host(final)
        found: dict[str, None] = {}
        seen, later, asked, depth = {final}, list[tuple[str, int]](), 1, 1
        while True:
            # In a thread: a big one takes seconds.
            kind, listed = await asyncio.to_thread(_sitemap, here, response, host, most)
            if kind == "urlset":
                found |= dict.fromkeys(listed)
            elif depth < DEPTH:
                fresh = [each for each in dict.fromkeys(listed) if each not in seen]
                seen.update(fresh)
                later += [(each, depth + 1) for each in fresh]
            if not later or asked >= MOST_SITEMAPS or len(found) >= most:
                return list(found)[:most]
            following, depth = later.pop(0)
            here, response = await self._get(following, SITEMAP_BYTES)
            asked += 1

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


def dated(modified: str) -> datetime | None:
    """The moment a server says that a page was last changed (``Last-Modified``); None when it is no date to be believed."""
    try:
        found = parsedate_to_datetime(modified)
    except (ValueError, OverflowError):
        return None
    if found.year not in TIMES:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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


def _sitemap(url: str, response: Response, host: str, most: int) -> tuple[str, list[str]]:
    """``urlset`` or ``sitemapindex``, and the first ``most`` addresses at ``host`` it lists. Blocks."""
    import lxml.etree

    kind, found, looked = "", list[str](), 0
    # Nothing of a document type is read: no entities, no files, no network.
    events = lxml.etree.iterparse(
        io.BytesIO(_unpacked(url, response)), ("start", "end"), resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        for event, element in events:
            if not kind:
                kind = lxml.etree.QName(element).localname
                if kind not in ("urlset", "sitemapindex"):
                    raise BadInput(f"{url} is no sitemap.\nGive the address of a sitemap.xml, or add the page itself.")
            above = element.getparent()
            if event != "end" or above is None or above.getparent() is not None:
                continue
            with suppress(BadInput):  # one line of rubbish is no reason not to read the rest
                found += [each for each in [_address(element, url)] if each and _host(each) == host]
            # What was read is let go: a tree of the whole list would take many times its size.
            element.clear(keep_tail=True)
            while element.getprevious() is not None:
                del above[0]
            looked += 1
            if len(found) >= most or looked >= MOST_LISTED:
                break
    except lxml.etree.XMLSyntaxError as error:
        # Half a list would look as if the other half had been taken down.
        raise BadInput(f"{url} is broken XML: {error.msg}.\nAsk the site's owner to publish it again.") from None
    return kind, found


def _address(entry: Any, url: str) -> str:
    for part in entry:
        if isinstance(part.tag, str) and part.tag.rpartition("}")[2] == "loc":
            return _usable((part.text or "").strip(), url)
    return ""
