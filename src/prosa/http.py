"""The outbound HTTP client: deadlines, our errors, a circuit breaker per host (whom it may call: ``addresses``).

What a caller may conclude from an error:

- :class:`~prosa.errors.TemporaryError`: the request never left (no address, no connection, breaker open).
- :class:`~prosa.errors.UnknownOutcome`: it left and no whole answer came back. Reading requests (``GET``, ``HEAD``)
  raise ``TemporaryError`` instead: repeating them does no harm.
- :class:`~prosa.errors.NotAllowed`: the address is private, local or not HTTP.

Statuses are the caller's business: a 500 is an answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import SplitResult, urljoin, urlsplit
from weakref import WeakKeyDictionary

import orjson

from prosa.addresses import Address, Refused, address_of, canonical, configured, guarded_resolver, is_public, refusal
from prosa.breaker import Breaker
from prosa.contracts import Json
from prosa.errors import NotAllowed, ProsaError, TemporaryError, TooLarge, UnknownOutcome

if TYPE_CHECKING:  # aiohttp takes 0.2 s to import; providers are imported by every command
    import aiohttp

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 20.0
BODY_LIMIT = 4 * 1024 * 1024
REST = 5.0
"""Seconds a host is left alone that could not be reached five times in a row."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SAFE_METHODS = frozenset({"GET", "HEAD"})

File = tuple[str, IO[bytes], str]
"""Name, open file, MIME type."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """A status of 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Json:
        """The body as a JSON object; empty when it is none (an HTML error page, a list, nothing)."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is still on its way. Iterate ``chunks`` once, or ``await close()``."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    _response: aiohttp.ClientResponse = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes announced, -1 when unknown."""
        return _length(self._response)

    async def close(self) -> None:
        """Drop the connection. Harmless after the last chunk."""
        self._response.close()


class Client:
    """One session per event loop, opened on first use.

    ``allow`` names further base URLs that may be private (tests); those of the settings always may.
    Use it as ``async with Client() as client`` or call :meth:`close` before the loop ends.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        connect_timeout: float = CONNECT_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = frozenset(address for url in allow if (address := address_of(urlsplit(url))))
        self._connect_timeout = connect_timeout
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()
        self._breakers: dict[Address, Breaker] = {}
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session of the running event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Mapping[str, File] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = TOTAL_TIMEOUT,  # noqa: ASYNC109 -- the deadline is the connection's, not the task's
        limit: int = BODY_LIMIT,
    ) -> Response:
        """Send one request and read the whole answer, at most ``limit`` bytes. Redirects are answers, not followed.

        ``json``, or ``data`` (bytes, or fields of a form) with ``files`` (field name → :data:`File`) as a multipart form.
        ``auth`` is user and password. ``timeout`` is in seconds, from start to last byte.

        :raises TemporaryError: it never left, or it only reads.
        :raises UnknownOutcome: it left, and no whole answer came.
        :raises TooLarge: the answer is bigger than ``limit``.
        :raises NotAllowed: the address is refused.
        """
        if json is not None:
            data, headers = orjson.dumps(json), {**(headers or {}), "Content-Type": "application/json"}
        elif files is not None:
            data = _form(data or {}, files)
        if auth is not None:
            headers = {**(headers or {}), **_basic(auth)}
        response = await self._open(method, url, headers=headers, params=params, data=data, timeout=timeout)
        body = b"".join([chunk async for chunk in _chunks(method, response, limit)])
        return Response(response.status, _plain(response.headers), body)

    async def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        limit: int,
        timeout: float = 120.0,  # noqa: ASYNC109 -- the deadline is the connection's, not the task's
        redirects: int = 3,
    ) -> Stream:
        """``GET`` a file. Follows a few redirects, each checked like the first address; credentials stay with the first host.

        The chunks raise :class:`TooLarge` beyond ``limit`` bytes (at once when so many are announced) and :class:`TemporaryError` when the connection breaks.

        :raises TemporaryError: nothing came.
        :raises NotAllowed: an address on the way is refused, or there are too many.
        """
        origin = urlsplit(url)
        current, sent = url, {"Accept-Encoding": "identity", **(headers or {}), **(_basic(auth) if auth else {})}
        for _ in range(redirects + 1):
            response = await self._open("GET", current, headers=sent, timeout=timeout)
            target = response.headers.get("Location")
            if response.status not in REDIRECTS or not target:
                break
            response.close()
            current = urljoin(current, target)
            if _origin(urlsplit(current)) != _origin(origin):
                sent = {name: value for name, value in sent.items() if name.lower() not in ("authorization", "cookie")}
        else:
            raise NotAllowed(f"{origin.hostname} redirects too often.\nThe file was not fetched.")
        return Stream(response.status, _plain(response.headers), _chunks("GET", response, limit), response)

    async def _open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float,  # noqa: ASYNC109 -- the deadline is the connection's, not the task's
    ) -> aiohttp.ClientResponse:
        import aiohttp

        url = canonical(url)
        parts = urlsplit(url)
        address = self._check(parts)
        breaker = self._breakers.setdefault(address, Breaker(open_seconds=REST, clock=self._clock))
        if not breaker.allows():
            raise TemporaryError(
                f"{address[0]} could not be reached several times in a row.\nIt rests for a moment.",
                retry_after=breaker.rest or REST,
            )
        started = time.perf_counter()
        # Below the total, so that running out of it is always after the connection stood.
        connect = min(self._connect_timeout, timeout * 0.9)
        try:
            response = await self._session().request(
                method,
                url,
                headers=headers,
                params=params,
                data=data,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout, connect=connect),
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Refused):
                raise NotAllowed(str(error.os_error)) from None
            breaker.failed()
            raise TemporaryError(
                f"No connection to {address[0]}: {type(error).__name__}.\nIt will be tried again."
            ) from error
        except aiohttp.InvalidURL:
            raise NotAllowed(f"The address at {address[0]} is not a valid URL.\nCorrect it.") from None
        except ValueError:
            # A line break in a pasted token; the message would show it.
            raise NotAllowed(
                f"The request to {address[0]} has a header that cannot be sent.\nEnter the credentials again."
            ) from None
        except Exception as error:
            if _is_network(error):
                breaker.succeeded()  # it took the connection
                raise _lost(method, address[0], error) from error
            raise
        finally:
            breaker.abandoned()
        breaker.succeeded()
        log.debug(
            "%s %s%s -> %d in %.0f ms",
            method,
            address[0],
            parts.path,
            response.status,
            (time.perf_counter() - started) * 1000,
        )
        return response

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            import aiohttp

            # A provider closes idle connections after some time; a request sent into a dying one has an unknown
            # outcome, so we let go first.
            connector = aiohttp.TCPConnector(
                resolver=guarded_resolver(self._may_be_private),
                limit=0,
                limit_per_host=100,
                keepalive_timeout=10,
                ttl_dns_cache=30,
            )
            session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "prosa"}
            )
            self._sessions[loop] = session
        return session

    def _may_be_private(self, address: Address) -> bool:
        return address in self._allowed or address in configured()

    def _check(self, parts: SplitResult) -> Address:
        address = address_of(parts)
        if address is None:
            raise NotAllowed("Only http:// and https:// addresses with a host are called.\nCorrect the address.")
        # Names are checked when they are resolved; literal addresses are not resolved.
        try:
            literal = ipaddress.ip_address(address[0])
        except ValueError:
            return address
        if not is_public(literal) and not self._may_be_private(address):
            raise NotAllowed(refusal(address[0]))
        return address


def _basic(auth: tuple[str, str]) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(':'.join(auth).encode()).decode()}"}


def _form(fields: Mapping[str, str], files: Mapping[str, File]) -> aiohttp.FormData:
    import aiohttp

    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    for name, (filename, file, mime_type) in files.items():
        form.add_field(name, file, filename=filename, content_type=mime_type)
    return form


async def _chunks(method: str, response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    host, size = response.url.host or "", 0
    try:
        _within(limit, _length(response), host)
        async for chunk in response.content.iter_chunked(64 * 1024):
            size += len(chunk)
            _within(limit, size, host)
            yield chunk
    except Exception as error:
        if _is_network(error):
            raise _lost(method, host, error) from error
        raise
    finally:
        response.close()  # after the last byte the connection is back in the pool already


def _within(limit: int, size: int, host: str) -> None:
    if size > limit:
        raise TooLarge(f"{host} sent more than {limit} bytes.\nNothing of it was kept.")


def _is_network(error: BaseException) -> bool:
    import aiohttp

    return isinstance(error, aiohttp.ClientError | TimeoutError | OSError)


def _lost(method: str, host: str, error: BaseException) -> ProsaError:
    what = f"{host} took a {method} request and did not answer: {type(error).__name__}."
    if method in SAFE_METHODS:
        return TemporaryError(f"{what}\nIt will be tried again.")
    return UnknownOutcome(f"{what}\nLook for its result before repeating it.")


def _length(response: aiohttp.ClientResponse) -> int:
    length = response.content_length
    return -1 if length is None else length


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _origin(parts: SplitResult) -> tuple[str, Address | None]:
    return parts.scheme, address_of(parts)
