"""Prosa inside ``examples/host_project``: its database, users, address and both ways to take a webhook, with real processes."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import http.cookiejar
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from installation import environment, free_port

pytestmark = pytest.mark.walk

PROJECT = Path(__file__).parents[2] / "examples" / "host_project"
SECRET = "the-secret-of-the-app-that-signs"
NUMBER = "106500000000001"
ANA = "5511987650001"
QUESTION, ANSWER = "Vocês entregam em Santos?", "Entregamos em Santos às terças e sextas."
PATIENCE_S = 200


class Graph(ThreadingHTTPServer):
    """Takes what the worker sends to WhatsApp."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.sent: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def texts(self) -> list[str]:
        return [body["text"]["body"] for body in self.sent if body.get("type") == "text"]


class _Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.sent.append(body)
        raw = json.dumps(
            {"messaging_product": "whatsapp", "contacts": [{"wa_id": ANA}], "messages": [{"id": f"wamid.{secrets.token_hex(8)}"}]}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


class Platform:
    """The host project on a database of its own."""

    def __init__(self, folder: Path, dsn: str, graph: Graph) -> None:
        self.folder, self.graph = folder, graph
        # No secret key and no data dir of Prosa: they are the standalone's.
        self.variables = environment(
            DATABASE_URL=dsn,
            FEIRA_SECRET_KEY="feira-feira-feira-feira-feira-feira-feira",
            WHATSAPP_TOKEN="EAAG-token",
            WHATSAPP_PHONE_NUMBER_ID=NUMBER,
            WHATSAPP_APP_SECRET=SECRET,
            WHATSAPP_VERIFY_TOKEN="ours",
            WHATSAPP_GRAPH_URL=graph.url,
            PROSA_PUBLIC_URL="https://feira.example/prosa",
            PYTHONPATH=str(PROJECT),
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: str, settings: str = "feira.settings") -> str:
        """What a command says; it must end well."""
        done = self.run(*arguments, settings=settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *arguments: str, settings: str = "feira.settings") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=PROJECT, env=self.variables | {"DJANGO_SETTINGS_MODULE": settings},
            capture_output=True, text=True, timeout=250, check=False,
        )  # fmt: skip

    def start(self, *command: str) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self.processes.append(
                subprocess.Popen([sys.executable, *command], cwd=PROJECT, env=self.variables, stdout=log, stderr=log)
            )

    def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise AssertionError(f"waited for {what}\n{(self.folder / 'log.txt').read_text()[-6000:]}")
            time.sleep(0.1)

    def stop(self) -> list[int]:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait(PATIENCE_S) for process in self.processes]


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})  # noqa: S310  our own server
    try:
        with _opener.open(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Stay)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Migrated and set up, not yet running."""
    server, name = os.environ["DATABASE_URL"], f"feira_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    host = make_conninfo(server, dbname=name)
    dsn = f"postgresql:///{name}?" + "&".join(
        f"{key}={value}" for key, value in psycopg.conninfo.conninfo_to_dict(host).items() if key != "dbname"
    )
    graph = Graph()
    made = Platform(tmp_path_factory.mktemp("feira"), dsn, graph)
    try:
        made.manage("migrate", "--verbosity", "0")
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()
        graph.shutdown()
        graph.server_close()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    """Inboxes from the environment, one approved answer, a key of the API."""
    said = platform.manage("prosa", "setup")
    assert "https://feira.example/prosa/webhook/whatsapp_cloud/main/" in said
    assert "dministrator" not in said
    platform.manage("prosa", "setup")
    platform.manage(
        "shell", "--verbosity", "0", "-c",
        "from prosa.business.models import Business; from stores.models import Store; from accounts.models import Merchant;"
        "business = Business.objects.get(); business.quiet_ms = 0; business.save();"
        f"business.approved_answers.create(question={QUESTION!r}, answer={ANSWER!r});"
        "owner = Merchant.objects.create_superuser('dona@feira.example', 'x');"
        "Store.objects.create(owner=owner, name='Quitanda', business=business)",
    )  # fmt: skip
    return platform.manage("prosa", "apikey").strip()


@pytest.fixture(scope="module")
def addresses(platform: Platform, key: str) -> dict[str, str]:
    """The platform running: a worker, and web processes that take webhooks by the door, by the view, and by the view beside a door that cannot start."""
    ports = {name: free_port() for name in ("door", "view", "no lifespan")}
    platform.start("manage.py", "prosa", "worker", "--concurrency", "10")
    platform.start("-m", "uvicorn", "feira.asgi:application", "--port", str(ports["door"]), "--log-level", "warning")
    platform.start("manage.py", "runserver", "--noreload", f"127.0.0.1:{ports['view']}")
    platform.start("-m", "uvicorn", "feira.asgi:application", "--port", str(ports["no lifespan"]), "--lifespan", "off", "--log-level", "warning")  # fmt: skip
    found = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    platform.until(lambda: all(ask(f"{root}/admin/login/")[0] == 200 for root in found.values()), "the platform")
    return found


def webhook(message_id: str, phone: str) -> tuple[bytes, str]:
    """A customer's question as Meta posts and signs it."""
    message = {"from": phone, "id": f"wamid.{message_id}", "timestamp": str(int(time.time())), "type": "text", "text": {"body": QUESTION}}  # fmt: skip
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": phone}],
        "messages": [message],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    raw = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    return raw, "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()


def test_the_project_is_sound(platform: Platform):
    assert "no issues" in platform.manage("check")
    platform.manage("makemigrations", "--check", "--dry-run")


def test_with_djangos_own_admin_it_is_sound_as_well(platform: Platform):
    done = platform.run("check", settings="feira.plain")
    assert done.returncode == 0
    assert "prosa.I001" in done.stderr
    platform.manage("makemigrations", "--check", "--dry-run", settings="feira.plain")


PAGES = (
    "from django.test import Client; from accounts.models import Merchant; from django.contrib import admin;"
    "client = Client(SERVER_NAME='localhost'); client.force_login(Merchant.objects.first());"
    "print({model._meta.label_lower: client.get(f'/admin/{model._meta.app_label}/{model._meta.model_name}/', follow=True).status_code for model in admin.site._registry});"
    "print(client.get('/admin/').status_code)"
)


@pytest.mark.parametrize(("settings", "prosas"), [("feira.settings", True), ("feira.plain", False)])
def test_the_admin_has_prosas_pages_where_they_can_be_drawn(platform: Platform, key: str, settings: str, prosas: bool):
    shown, index = platform.manage("shell", "--verbosity", "0", "-c", PAGES, settings=settings).splitlines()
    pages = {name: int(code) for name, code in (pair.split(": ") for pair in shown.strip("{}").replace("'", "").split(", "))}  # fmt: skip
    assert set(pages.values()) == {200}
    assert index == "200"
    assert "stores.store" in pages
    assert ("prosa_channels.inbox" in pages) is prosas


def test_a_database_that_is_not_migrated_is_said(platform: Platform):
    with psycopg.connect(platform.variables["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("delete from django_migrations where app = 'prosa_knowledge' and name = '0002_search'")
        try:
            done = platform.run("prosa", "setup")
        finally:
            connection.execute("insert into django_migrations (app, name, applied) values ('prosa_knowledge', '0002_search', now())")  # fmt: skip
    assert done.returncode == 2
    assert "manage.py migrate" in done.stderr
    assert "Traceback" not in done.stderr


BUYERS = """
import datetime
from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.models import Contact, Identity
from prosa.conversations import linking
from prosa.conversations.models import Conversation
from accounts.models import Merchant
from stores.models import Store
here = Business.objects.get()
other = Business.objects.create(name="Vizinha", slug="vizinha")
owner = Merchant.objects.first()
theirs = Store.objects.create(owner=owner, name="Vizinha", business=other)
ana = here.store.buyers.create(name="Ana Souza", mobile="551187654399")
ana.orders.create(placed_on=datetime.date(2026, 11, 16), total="189.90", status="a caminho")
theirs.buyers.create(name="Ana of next door", mobile="5511987654399")
contact = Contact.objects.create(business=here, name="Ana")
Identity.objects.create(business=here, contact=contact, key="phone:5511987654399")
inbox = Inbox.objects.get(kind="whatsapp_cloud")
Conversation.objects.create(business=here, inbox=inbox, contact=contact, state="resolved")
told = linking.suggestions(contact)
print([each.candidate.label for each in told.found], told.certain("feira").how)
(link,) = linking.consider(contact)
order = linking.profile(link).orders[0]
print(order.date, order.total, order.status)
print([each.candidate.label for each in linking.search(contact, "feira", "ana")])
contact.delete()
other.delete()
"""


def test_a_shop_knows_its_own_buyers_and_nobody_elses(platform: Platform, key: str):
    said = platform.manage("shell", "--verbosity", "0", "-c", BUYERS).splitlines()
    assert said == ["['Ana Souza'] proved_phone", "2026-11-16 R$ 189.90 a caminho", "['Ana Souza']"]


@pytest.mark.parametrize("way", ["door", "view", "no lifespan"])
def test_a_signed_webhook_is_answered(platform: Platform, addresses: dict[str, str], way: str):
    phone = ANA[:-1] + str(["door", "view", "no lifespan"].index(way))
    address = f"{addresses[way]}/prosa/webhook/whatsapp_cloud/main/"
    raw, signature = webhook(way.replace(" ", "-"), phone)
    assert ask(address, raw, X_Hub_Signature_256="sha256=" + "0" * 64)[0] == 403
    assert [ask(address, raw, X_Hub_Signature_256=signature)[0] for _ in range(2)] == [200, 200]
    platform.until(
        lambda: any(one.get("to", "").endswith(phone) and "text" in one for one in platform.graph.sent), "the answer"
    )
    answers = [
        one["text"]["body"] for one in platform.graph.sent if one.get("to", "").endswith(phone) and "text" in one
    ]
    assert answers == [ANSWER]


def test_the_door_and_not_django_takes_it(addresses: dict[str, str]):
    """Only the door answers 413 by the announced length alone, before there is a body."""

    def status(way: str) -> int:
        connection = http.client.HTTPConnection(addresses[way].removeprefix("http://"), timeout=120)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/prosa/webhook/whatsapp_cloud/main/")
            connection.putheader("content-length", str(5 * 1024 * 1024))
            connection.endheaders()
            return connection.getresponse().status

    assert status("door") == 413


def test_verification_and_strangers(addresses: dict[str, str]):
    query = "hub.mode=subscribe&hub.verify_token=ours&hub.challenge=42"
    for root in addresses.values():
        assert ask(f"{root}/prosa/webhook/whatsapp_cloud/main/?{query}") == (200, b"42")
        assert ask(f"{root}/prosa/webhook/whatsapp_cloud/other/", b"{}")[0] == 404
        # What lies outside the prefix stays the platform's: here its log-in.
        assert ask(f"{root}/webhook/whatsapp_cloud/main/", b"{}")[0] != 200
        assert ask(f"{root}/")[0] == 302


@pytest.mark.parametrize("way", ["door", "view"])
def test_the_api_answers(addresses: dict[str, str], key: str, way: str):
    body = json.dumps({"user_id": f"rita-{way}", "text": QUESTION}).encode()
    address = f"{addresses[way]}/prosa/api/v1/messages"
    assert ask(address, body, Content_Type="application/json")[0] == 401
    status, answer = ask(address, body, Content_Type="application/json", Authorization=f"Bearer {key}")
    assert (status, json.loads(answer)["response"]) == (200, ANSWER)


@pytest.mark.parametrize("way", ["door", "view"])
def test_a_merchant_answers_at_the_desk(platform: Platform, addresses: dict[str, str], way: str):
    """Below the project's prefix, by its own users, who have no user name, under ASGI and WSGI."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    root = f"{addresses[way]}/prosa/agent"

    def post(path: str, **fields: str) -> tuple[str, str]:
        token = next(each.value for each in jar if each.name == "csrftoken")
        body = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token or ""}).encode()
        with browser.open(f"{root}/{path}", body, timeout=120) as answer:
            return answer.url, answer.read().decode()

    with browser.open(f"{root}/dashboard", timeout=120) as asked:
        assert asked.url.startswith(f"{root}/login")
    _url, page = post("login?next=/prosa/agent/dashboard", username="dona@feira.example", password="x")
    assert 'data-mount="/prosa/agent/"' in page
    with psycopg.connect(platform.variables["DATABASE_URL"]) as connection:
        query = (
            "select c.id from prosa_conversations_conversation c join prosa_contacts_identity i using (contact_id)"
            " where i.key like %s"
        )
        phone = ANA[:-1] + str(["door", "view", "no lifespan"].index(way))
        ((number,),) = connection.execute(query, [f"%{phone[-8:]}"]).fetchall()
    with browser.open(f"{root}/c/{number}", timeout=120) as shown:
        assert QUESTION in shown.read().decode()
    post(f"c/{number}/reply", text=f"Sou eu, a dona: {way}.", key=f"by-hand-{way}")
    platform.until(lambda: f"Sou eu, a dona: {way}." in platform.graph.texts(), "the owner's reply")
    if way == "view":
        with browser.open(f"{root}/stream", timeout=120) as events:
            assert events.status == 204


def test_doctor_looks_at_the_projects_own_database(platform: Platform, addresses: dict[str, str]):
    report = json.loads(platform.manage("prosa", "doctor", "--json"))
    by_subject = {finding["subject"]: finding for finding in report["findings"]}
    assert by_subject["workers"]["level"] == "ok"
    assert by_subject["addresses"]["level"] == "ok"
    assert not (PROJECT / "var").exists()  # no embedded database was made


def test_doctor_notices_a_public_address_without_the_prefix(platform: Platform, addresses: dict[str, str]):
    wrong = platform.variables | {"PROSA_PUBLIC_URL": "https://feira.example"}
    done = subprocess.run([sys.executable, "manage.py", "prosa", "doctor", "--json"], cwd=PROJECT, env=wrong, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    found = next(each for each in json.loads(done.stdout)["findings"] if each["subject"] == "addresses")
    assert "/prosa" in found["fix"]


def test_everything_ends_when_told(platform: Platform, addresses: dict[str, str]):
    codes = platform.stop()
    assert codes[0] == 0  # the worker drained
    platform.processes.clear()
