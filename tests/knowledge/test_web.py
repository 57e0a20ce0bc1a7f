"""Pages of the web: robots.txt obeyed, redirects judged, sitemaps within bounds."""

import gzip
from datetime import UTC, datetime

import pytest

from prosa.errors import BadInput, NotAllowed, TemporaryError, TooLarge
from prosa.http import Client, Response
from prosa.knowledge import web
from prosa.knowledge.web import Fetched, Site
from prosa.testing import StubServer

HTML = {"Content-Type": "text/html; charset=iso-8859-1", "Last-Modified": "Mon, 03 Feb 2025 10:00:00 GMT"}
XML = {"Content-Type": "application/xml"}


@pytest.fixture
async def server():
    async with StubServer() as running:
        yield running


@pytest.fixture
async def pauses():
    return []


@pytest.fixture
async def site(server, pauses):
    async def pause(seconds):
        pauses.append(seconds)

    async with Client(allow=[server.url]) as client:
        yield Site(client, pause=pause)


def urlset(*urls, date=""):
    dated = f"<lastmod>{date}</lastmod>" if date else ""
    listed = "".join(f"<url><loc>{url}</loc>{dated}</url>" for url in urls)
    return (
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{listed}</urlset>'.encode()
    )


def index(*urls):
    return f"<sitemapindex>{''.join(f'<sitemap><loc>{url}</loc></sitemap>' for url in urls)}</sitemapindex>".encode()


async def test_a_page_with_its_address_and_what_its_server_says(site, server):
    server.answers(404).answers(302, b"", {"Location": "/trocas"}).answers(200, b"<p>ok", HTML)
    found = await site.fetch(f"{server.url}/velha#topo")
    assert found == Fetched(f"{server.url}/trocas", b"<p>ok", HTML["Content-Type"], "", HTML["Last-Modified"])
    assert [one.path for one in server.requests] == ["/robots.txt", "/velha", "/trocas"]


async def test_robots_are_asked_once_and_obeyed(site, server, pauses):
    server.answers(200, b"User-agent: *\nDisallow: /interno\nCrawl-delay: 99\n").answers(200, b"<p>ok", HTML)
    await site.fetch(f"{server.url}/a")
    with pytest.raises(NotAllowed, match=r"robots\.txt"):
        await site.fetch(f"{server.url}/interno/b")
    server.answers(301, b"", {"Location": "/interno/c"})
    with pytest.raises(NotAllowed, match=r"robots\.txt"):
        await site.fetch(f"{server.url}/d")
    assert [one.path for one in server.requests] == ["/robots.txt", "/a", "/d"]
    assert pauses == [web.LONGEST_PAUSE, web.LONGEST_PAUSE]


async def test_a_server_in_trouble_is_not_read_for_now(site, server):
    server.answers(503)
    with pytest.raises(TemporaryError, match="503"):
        await site.fetch(f"{server.url}/a")
    server.answers(404).answers(200, b"<p>ok", HTML)
    assert (await site.fetch(f"{server.url}/a")).body == b"<p>ok"


async def test_redirects_into_the_house_are_refused(site, server):
    server.answers(404).answers(302, b"", {"Location": "http://127.0.0.1:1/secret"})
    with pytest.raises(NotAllowed):
        await site.fetch(f"{server.url}/a")
    server.answers(302, b"", {"Location": "file:///etc/passwd"})
    with pytest.raises(NotAllowed):
        await site.fetch(f"{server.url}/b")
    async with Client() as client:
        with pytest.raises(NotAllowed):
            await Site(client).fetch(f"{server.url}/a")


async def test_redirects_without_end(site, server):
    server.answers(404)
    for _ in range(web.HOPS + 1):
        server.answers(302, b"", {"Location": "/a"})
    with pytest.raises(NotAllowed, match="redirects more than"):
        await site.fetch(f"{server.url}/a")


@pytest.mark.parametrize(
    ("status", "error"), [(404, BadInput), (403, BadInput), (429, TemporaryError), (500, TemporaryError)]
)
async def test_statuses(site, server, status, error):
    server.answers(404).answers(status, b"<p>sorry", HTML)
    with pytest.raises(error, match=str(status)):
        await site.fetch(f"{server.url}/a")


async def test_a_sitemap_gives_its_own_pages_each_once(site, server):
    one, two = f"{server.url}/1", f"{server.url}/2"
    server.answers(404).answers(200, urlset(one, "https://example.com/x", two, one), XML)
    assert await site.pages(f"{server.url}/sitemap.xml") == [one, two]


async def test_what_a_sitemap_lists_beyond_the_protocol_is_not_looked_at(site, server, monkeypatch):
    monkeypatch.setattr(web, "MOST_LISTED", 3)
    one, two = f"{server.url}/1", f"{server.url}/2"
    server.answers(404).answers(200, urlset("https://a.example/", one, "https://b.example/", two), XML)
    assert await site.pages(f"{server.url}/sitemap.xml") == [one]


async def test_indexes_within_bounds(site, server):
    loop, first, second = (f"{server.url}/{name}" for name in ("index.xml", "a.xml", "b.xml.gz"))
    server.answers(404).answers(200, index(loop, first, second, first), XML).answers(
        200, urlset(f"{server.url}/1"), XML
    )
    server.answers(
        200, gzip.compress(urlset(f"{server.url}/2#x", f"{server.url}/1")), {"Content-Type": "application/gzip"}
    )
    assert await site.pages(loop) == [f"{server.url}/1", f"{server.url}/2"]
    assert [one.path for one in server.requests] == ["/robots.txt", "/index.xml", "/a.xml", "/b.xml.gz"]


async def test_indexes_within_indexes_end(site, server):
    server.answers(404)
    for depth in range(web.DEPTH + 2):
        server.answers(200, index(f"{server.url}/{depth}.xml"), XML)
    assert await site.pages(f"{server.url}/index.xml") == []
    assert len(server.requests) == 1 + web.DEPTH


async def test_an_index_of_very_many_sitemaps_is_cut(site, server, monkeypatch):
    monkeypatch.setattr(web, "MOST_SITEMAPS", 3)
    server.answers(404).answers(200, index(*(f"{server.url}/{n}.xml" for n in range(9))), XML)
    server.answers(200, urlset(f"{server.url}/a"), XML).answers(200, urlset(f"{server.url}/b"), XML)
    assert await site.pages(f"{server.url}/index.xml") == [
        f"{server.url}/a",
        f"{server.url}/b",
    ]


async def test_no_more_pages_than_asked_for(site, server):
    server.answers(404).answers(200, urlset(*(f"{server.url}/{n}" for n in range(9))), XML)
    assert len(await site.pages(f"{server.url}/sitemap.xml", most=4)) == 4


@pytest.mark.parametrize(
    "body", [urlset("http://x/1")[:-10], b"<html><p>not found</p></html>", b"\x1f\x8bgarbage", b""]
)
async def test_half_a_sitemap_is_none(site, server, body):
    server.answers(404).answers(200, body, XML)
    with pytest.raises(BadInput):
        await site.pages(f"{server.url}/sitemap.xml")


async def test_a_sitemap_that_unpacks_without_end(site, server, monkeypatch):
    monkeypatch.setattr(web, "SITEMAP_BYTES", 10_000)
    server.answers(404).answers(200, gzip.compress(b" " * 1_000_000), XML)
    with pytest.raises(TooLarge):
        await site.pages(f"{server.url}/sitemap.xml.gz")


async def test_entities_of_a_sitemap_are_not_read(site, server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("segredo")
    body = (
        f'<!DOCTYPE u [<!ENTITY s SYSTEM "{secret.as_uri()}">]><urlset><url><loc>{server.url}/&s;</loc></url></urlset>'
    )
    server.answers(404).answers(200, body.encode(), XML)
    assert not any("segredo" in each for each in await site.pages(f"{server.url}/sitemap.xml"))


async def test_a_page_too_big(site, server, monkeypatch):
    monkeypatch.setattr(web, "PAGE_BYTES", 1000)
    server.answers(404).answers(200, b"<p>" + b"x" * 2000, HTML)
    with pytest.raises(TooLarge):
        await site.fetch(f"{server.url}/a")


async def test_a_line_of_rubbish_does_not_hide_the_rest_of_a_sitemap(site, server):
    good = f"{server.url}/um"
    server.answers(404).answers(200, urlset("http://[", "http://a:99999/x", good), XML)
    assert await site.pages(f"{server.url}/sitemap.xml") == [good]


async def test_a_redirect_to_no_address_is_that_pages_trouble(site, server):
    server.answers(404).answers(302, b"", {"Location": "http://[::1"})
    with pytest.raises(BadInput, match="no address of the web"):
        await site.fetch(f"{server.url}/a")


async def test_an_address_with_a_password_is_neither_read_nor_shown(site, server):
    with pytest.raises(BadInput) as caught:
        await site.fetch(server.url.replace("//", "//ana:s3cret@"))
    assert "s3cret" not in str(caught.value)
    assert server.requests == []


async def test_what_a_server_says_of_a_page_can_be_stored():
    class Strange(Client):
        async def request(self, method, url, **_):
            told = {"etag": '"\udcff"', "last-modified": "Mon\udce9"}
            return Response(404, {}, b"") if url.endswith("robots.txt") else Response(200, told, b"<p>ok")

    found = await Site(Strange()).fetch("http://example.com/a")
    assert (found.etag, found.modified) == ("", "")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Mon, 03 Feb 2025 10:00:00 GMT", datetime(2025, 2, 3, 10, tzinfo=UTC)),
        ("Mon, 03 Feb 2025 10:00:00 -0000", datetime(2025, 2, 3, 10, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("Mon, 03 Feb 99999999999999999999 10:00:00 GMT", None),
        ("ontem", None),
        ("", None),
    ],
)
def test_the_date_a_server_gives_a_page(said, meant):
    assert web.dated(said) == meant
