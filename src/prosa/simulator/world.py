"""The outside world in memory: numbers of businesses, customers with phones, what they wrote, files, events.

Everything lives in one process and one event loop, is bounded, and is gone when the process ends. The doubles
write here what Prosa sends; the phone in the browser shows it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from prosa.contracts import Json
from prosa.simulator.mischief import Mischief

MEGABYTE: Final = 1024 * 1024
MAX_THREADS: Final = 500
MAX_BUBBLES: Final = 500
MAX_EVENTS: Final = 2000
MAX_FILES: Final = 500
MAX_MEDIA_BYTES: Final = 256 * MEGABYTE
MAX_MESSAGES: Final = 5000
REFRESH_S: Final = 2.0
TYPING_S: Final = 25.0
"""How long WhatsApp shows that somebody is writing [FACTS 1.8]."""


@dataclass(frozen=True, slots=True)
class Line:
    """A business's number as the outside world knows it.

    ``kind``: whatsapp_cloud, twilio or rest. ``key``: what the provider calls it (``phone_number_id``, or the digits
    of the number at Twilio). ``number``: its digits. ``token`` opens the provider's API, ``secret`` signs its webhooks,
    ``account`` is the WABA or account SID. ``real``: its provider is not a double, so that answers to an invented
    customer would reach a stranger: nobody may write to it from here. Webhooks are posted to ``webhook_url`` and signed as ``signed_url``.
    """

    kind: str
    key: str
    slug: str
    name: str = ""
    business: str = ""
    number: str = ""
    account: str = ""
    token: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    webhook_url: str = ""
    signed_url: str = ""
    api_url: str = ""
    inbox_id: int = 0
    real: bool = False

    @property
    def ref(self) -> str:
        """``kind/slug``, unique in a world."""
        return f"{self.kind}/{self.slug}"


@dataclass(frozen=True, slots=True)
class Customer:
    """A person with a phone. ``phone``: digits with country code; empty for someone known by user name only."""

    id: str
    name: str = ""
    phone: str = ""
    username: str = ""

    @property
    def user_id(self) -> str:
        """The business-scoped user id [FACTS 1.10]: country, dot, digits; the same each time for the same customer."""
        digits = int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:8], "big")
        return f"BR.{digits}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """What a business may send to: digits and user id, strongest last."""
        return tuple(part for part in (self.phone, self.user_id) if part)


@dataclass(slots=True)
class File:
    """A file at a provider."""

    id: str
    mime_type: str
    data: bytes = field(repr=False)
    filename: str = ""
    kind: str = ""
    voice: bool = False

    @property
    def sha256(self) -> bytes:
        """The digest of the bytes."""
        return hashlib.sha256(self.data).digest()


@dataclass(slots=True)
class Bubble:
    """A message on the phone's screen.

    ``author``: customer or business. ``status`` of the customer's own: sending, delivered (our door took it), read,
    failed; of the business's: sent, delivered, read, failed. ``nonce``: how the browser named it before it had an id. ``at``: milliseconds since 1970. ``choices``: buttons or rows offered, as
    ``{"type", "button", "options": [{"id", "title", "description"}], "url"}``. ``file``: ``{"id", "mime_type", …}``.
    ``received``: whether a business's message reached the phone; one that did not is never read.
    """

    id: str
    author: str
    kind: str
    text: str = ""
    status: str = "sent"
    at: int = field(default_factory=lambda: int(time.time() * 1000))
    header: str = ""
    footer: str = ""
    reply_to: str = ""
    file: Json | None = None
    choices: Json | None = None
    place: Json | None = None
    reactions: dict[str, str] = field(default_factory=dict)
    error: str = ""
    nonce: str = ""
    tracker: str = ""
    callback: str = ""
    muted: bool = False
    received: bool = True

    def as_json(self) -> Json:
        """As the browser gets it."""
        shown = asdict(self)
        for private in ("tracker", "callback", "muted"):
            del shown[private]
        return shown


@dataclass(slots=True)
class Thread:
    """What one customer and one line said to each other."""

    line: Line
    customer: Customer
    bubbles: OrderedDict[str, Bubble] = field(default_factory=OrderedDict)
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """Something the phone must hear of. ``name``: bubble, typing or lines."""

    id: int
    name: str
    data: Json


class World:
    """See the module. ``pace``: seconds between the statuses of a message."""

    def __init__(self, *, pace: float = 0.15) -> None:
        self.pace = pace
        self.birth = secrets.token_hex(4)
        self.mischief = Mischief()
        self.find_lines: Callable[[], Awaitable[Iterable[Line]]] | None = None
        self.files: OrderedDict[str, File] = OrderedDict()
        self.sent: OrderedDict[str, Json] = OrderedDict()
        """Messages at Twilio by SID, in its wire format."""
        self._lines: dict[str, Line] = {}
        self._looked_at = float("-inf")
        self._threads: OrderedDict[tuple[str, str], Thread] = OrderedDict()
        self._people: dict[tuple[str, str], Customer] = {}
        self._happenings: deque[Happening] = deque(maxlen=MAX_EVENTS)
        self._count = 0
        self._listeners: set[asyncio.Queue[Happening]] = set()
        self._chores: set[asyncio.Task[Any]] = set()

    # ── lines ──

    def add_line(self, line: Line) -> Line:
        """Connect a number by hand, as tests do."""
        self._lines[line.ref] = line
        return line

    async def lines(self) -> list[Line]:
        """Every number, read again from the inboxes when the last look is older than two seconds."""
        if self.find_lines is not None and time.monotonic() - self._looked_at > REFRESH_S:
            self._looked_at = time.monotonic()
            self._lines = {line.ref: line for line in await self.find_lines()}
        return list(self._lines.values())

    def forget_lines(self) -> None:
        """Read the inboxes again at the next question."""
        self._looked_at = float("-inf")

    async def line(
        self, *, kind: str = "", key: str = "", token: str = "", account: str = "", ref: str = ""
    ) -> Line | None:
        """The number that has all the given properties."""
        for line in await self.lines():
            if (
                (not ref or line.ref == ref)
                and (not kind or line.kind == kind)
                and (not key or line.key == key)
                and (not token or secrets.compare_digest(line.token.encode(), token.encode()))
                and (not account or line.account == account)
            ):
                return line
        return None

    # ── threads ──

    def thread(self, line: Line, customer: Customer) -> Thread:
        """The thread of two, made when there is none; the oldest thread goes when there are too many."""
        key = (line.ref, customer.id)
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = Thread(line, customer)
            while len(self._threads) > MAX_THREADS:
                _, gone = self._threads.popitem(last=False)
                for address in gone.customer.addresses:
                    self._people.pop((gone.line.ref, address), None)
        self._threads.move_to_end(key)
        thread.line, thread.customer = line, customer
        for address in customer.addresses:
            self._people[line.ref, address] = customer
        return thread

    def thread_to(self, line: Line, address: str) -> Thread:
        """The thread a business's message to ``address`` (digits or user id) belongs in."""
        known = self._people.get((line.ref, address))
        phone = address if address.isdigit() else ""
        return self.thread(line, known or Customer(id=address, phone=phone))

    def threads(self) -> list[Thread]:
        """All threads, least recently used first."""
        return list(self._threads.values())

    def put(self, thread: Thread, bubble: Bubble) -> Bubble:
        """Show a bubble, new or changed."""
        thread.bubbles[bubble.id] = bubble
        while len(thread.bubbles) > MAX_BUBBLES:
            thread.bubbles.popitem(last=False)
        self.tell("bubble", thread, bubble=bubble.as_json())
        return bubble

    def read_up_to(self, thread: Thread, message_id: str) -> None:
        """The business read the customer's message and all before it."""
        for bubble in list(thread.bubbles.values()):
            if bubble.author == "customer" and bubble.status in {"sending", "delivered"}:
                bubble.status = "read"
                self.put(thread, bubble)
            if bubble.id == message_id:
                return

    def thread_of(self, line: Line, message_id: str) -> Thread | None:
        """Where a message is."""
        return next((t for t in self._threads.values() if t.line.ref == line.ref and message_id in t.bubbles), None)

    # ── files ──

    def keep(self, file: File) -> File:
        """Store a file; the oldest ones go when there are too many or they are too large together."""
        self.files[file.id] = file
        total = sum(len(each.data) for each in self.files.values())
        while len(self.files) > 1 and (len(self.files) > MAX_FILES or total > MAX_MEDIA_BYTES):
            _, gone = self.files.popitem(last=False)
            total -= len(gone.data)
        return file

    # ── happenings ──

    def tell(self, name: str, thread: Thread | None = None, **data: Any) -> None:
        """Let every open phone know."""
        if thread is not None:
            customer = asdict(thread.customer)
            data = {"line": thread.line.ref, "customer": customer, **data}
        self._count += 1
        happening = Happening(self._count, name, data)
        self._happenings.append(happening)
        for listener in self._listeners:
            if listener.full():
                continue
            listener.put_nowait(happening)

    @property
    def cursor(self) -> str:
        """Names the newest happening, for :meth:`since`."""
        return f"{self.birth}-{self._count}"

    def since(self, cursor: str) -> list[Happening] | None:
        """What happened after ``cursor``; None when that is no longer known (a restart, or too long ago)."""
        birth, _, number = cursor.partition("-")
        if birth != self.birth or not number.isdecimal() or len(number) > 15:
            return None
        missing = self._count - int(number)
        if missing < 0 or missing > len(self._happenings):
            return None
        return [each for each in self._happenings if each.id > int(number)]

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Queue[Happening]]:
        """A queue of what happens from now on; a listener that falls a whole history behind is left behind."""
        queue: asyncio.Queue[Happening] = asyncio.Queue(MAX_EVENTS)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    # ── chores ──

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something after the answer has left (statuses, fetching linked media)."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    async def settle(self) -> None:
        """Wait until everything spawned is done."""
        while self._chores:
            await asyncio.gather(*list(self._chores), return_exceptions=True)

    def remember(self, sid: str, record: Json) -> None:
        """Keep a Twilio message for later questions."""
        self.sent[sid] = record
        while len(self.sent) > MAX_MESSAGES:
            self.sent.popitem(last=False)


def new_wamid() -> str:
    """A message id as Meta makes them."""
    import base64

    return "wamid." + base64.b64encode(b"HBgNSIM" + secrets.token_bytes(24)).decode()


def new_number(digits: int = 16) -> str:
    """A numeric id as Meta makes them."""
    return str(secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1))


def new_sid(prefix: str) -> str:
    """An id as Twilio makes them: two letters and 32 hex digits."""
    return prefix + secrets.token_hex(16)
