"""Who is told that a customer waits: through the chores, real PostgreSQL, and receivers on a port of their own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import socket
import threading
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.utils import timezone

from prosa import http, queue
from prosa.business.models import Business
from prosa.business.people import Membership, Role, Team
from prosa.conversations import ownership
from prosa.conversations.models import Conversation, Event, Message, State
from prosa.conversations.ownership import Wish
from prosa.conversations.states import Move
from prosa.desk import digests, notices, outlets, webhooks
from prosa.desk.models import AuditEntry, Person
from prosa.desk.models_notices import Discretion, Notice, Outlet, Way
from prosa.errors import NotAllowed
from prosa.server.mail import mail_settings
from prosa.simulator.fake_hooks import PREFIX, Hooks
from prosa.simulator.wire import serve

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
Inbox = list[EmailMessage]


@dataclass
class Receiver:
    """The doubles on a port."""

    url: str
    hooks: Hooks

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.hooks.came]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    hooks = Hooks()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await serve(scope, receive, send, hooks.handle)

    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(16)
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    )
    running = threading.Thread(target=partial(server.run, sockets=[taken]))
    running.start()
    base = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setattr(webhooks, "Client", partial(http.Client, allow=[base]))
    monkeypatch.setattr(webhooks, "check", lambda _url: None)
    yield Receiver(f"{base}{PREFIX}", hooks)
    server.should_exit = True
    running.join()
    taken.close()


@pytest.fixture
def mailed(bia: Membership) -> Membership:
    bia.user.email = "bia@example.com"
    bia.user.save()
    return bia


def wait_for_people(conversation: Conversation, **wish: Any) -> None:
    """The bot hands it off, and what listens does its work."""
    if conversation.state == State.BOT:
        ownership.act(conversation.pk, Wish(Move.HAND_OFF, "bot", {"reason": "keyword"}, **wish))
    notices.hear(conversation.pk)


def later(seconds: float = notices.GATHER_S + 1) -> None:
    """As if so much time had gone by."""
    ago = timedelta(seconds=seconds)
    for notice in Notice.objects.all():
        Notice.objects.filter(pk=notice.pk).update(created_at=notice.created_at - ago)
    for each in Outlet.objects.all():
        Outlet.objects.filter(pk=each.pk).update(
            sent_at=each.sent_at and each.sent_at - ago, next_at=each.next_at and each.next_at - ago
        )


def pass_on() -> int:
    """What the periodic chore and those it defers do, here. How many outlets were told."""
    ripe = notices.ripe()
    for outlet_id, _lane in ripe:
        notices.tell(outlet_id)
    return len(ripe)


def statuses() -> list[str]:
    return list(Notice.objects.order_by("id").values_list("status", flat=True))


def hook(business: Business, receiver: Receiver, way: str = Way.WEBHOOK, path: str = "signed", **values: Any) -> Outlet:
    address = {"url": f"{receiver.url}/{path}", "secret": "s3cret-of-the-shop"}
    return Outlet.objects.create(business=business, way=way, name="Ops", address=address, **values)


# ── who hears ──


def test_whoever_answers_customers_is_told_by_mail_with_a_link(mailed: Membership, talk: Talk, mailoutbox: Inbox):
    conversation = talk(state=State.BOT)
    wait_for_people(conversation)
    assert pass_on() == 0  # still gathering
    later()
    assert pass_on() == 1
    (mail,) = mailoutbox
    assert mail.to == ["bia@example.com"]
    assert "Ana" in mail.subject
    assert f"/agent/c/{conversation.pk}" in mail.body
    assert "oi, sou Ana" not in mail.body  # the customer's words stay here
    assert "Abrir a conversa" in str(mail.alternatives[0][0]) or "Open the conversation" in str(mail.alternatives[0][0])
    assert statuses() == ["sent"]
    outlet = Outlet.objects.get()
    assert outlet.sent_at == outlet.succeeded_at is not None


def test_the_public_address_is_in_the_link(talk: Talk, monkeypatch: pytest.MonkeyPatch, db: None):
    settings = digests.conf.settings().model_copy(update={"public_url": "https://bot.example.com/"})
    monkeypatch.setattr(digests.conf, "settings", lambda: settings)
    assert digests.address("desk:conversation", 7) == "https://bot.example.com/agent/c/7"


async def test_the_move_itself_defers_it(transactional_db: None, talk: Talk, mailed: Membership):
    def begin() -> int:
        with connection.cursor() as cursor:
            cursor.execute("delete from procrastinate_jobs")
        conversation = talk(state=State.BOT)
        ownership.act(conversation.pk, Wish(Move.HAND_OFF, "bot"))
        return conversation.pk

    pk = await sync_to_async(begin)()
    worker = asyncio.create_task(queue.run_worker())
    end = clock.monotonic() + 60
    while not await Notice.objects.filter(conversation_id=pk, kind="handed_off").aexists():
        assert clock.monotonic() < end
        await asyncio.sleep(0.05)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


def test_the_same_event_is_told_once(mailed: Membership, talk: Talk, mailoutbox: Inbox):
    conversation = talk(state=State.BOT)
    for _ in range(3):
        wait_for_people(conversation)
        conversation.refresh_from_db()
    later()
    pass_on()
    notices.hear(conversation.pk)
    later(10_000)
    pass_on()
    assert statuses() == ["sent"]
    assert len(mailoutbox) == 1


def test_what_is_given_to_one_person_or_team_is_told_to_them_alone(
    bia: Membership, rui: Membership, talk: Talk, business: Business, member: Callable[..., Membership]
):
    for each in (bia, rui, member("Vera", Role.VIEWER)):
        Outlet.objects.create(business=business, member=each, way=Way.EMAIL)
    team = Team.objects.create(business=business, name="Vendas")
    team.members.add(rui)
    to_bia, to_team = talk(), talk("Caio")
    ownership.act(to_bia.pk, Wish(Move.ASSIGN, f"user:{rui.user_id}", assignee=bia.pk))
    ownership.act(to_team.pk, Wish(Move.ASSIGN, f"user:{bia.user_id}", team=team.pk))
    for each in (to_bia, to_team):
        notices.hear(each.pk)
    told = Notice.objects.values_list("conversation_id", "outlet__member__user__first_name", "kind")
    assert set(told) == {(to_bia.pk, "Bia", "assigned"), (to_team.pk, "Rui", "assigned")}


def test_who_did_it_is_not_told(bia: Membership, rui: Membership, talk: Talk, business: Business):
    for each in (bia, rui):
        Outlet.objects.create(business=business, member=each, way=Way.EMAIL)
    conversation = talk(state=State.BOT)
    ownership.act(conversation.pk, Wish(Move.HAND_OFF, f"user:{bia.user_id}"))
    notices.hear(conversation.pk)
    assert list(Notice.objects.values_list("outlet__member", flat=True)) == [rui.pk]


def test_what_nobody_took_is_told_to_administrators(
    bia: Membership, member: Callable[..., Membership], talk: Talk, business: Business
):
    for each in (bia, member("Ada", Role.ADMIN)):
        Outlet.objects.create(business=business, member=each, way=Way.EMAIL)
    conversation = talk()
    Event.objects.create(
        conversation=conversation, business=business, kind="escalated", actor="system", created_at=timezone.now()
    )
    notices.hear(conversation.pk)
    assert list(Notice.objects.values_list("kind", "outlet__member__user__first_name")) == [("escalated", "Ada")]


def test_another_business_hears_nothing(
    mailed: Membership, elsewhere: Business, member: Callable[..., Membership], talk: Talk
):
    Outlet.objects.create(business=elsewhere, member=member("Eva", of=elsewhere), way=Way.EMAIL)
    wait_for_people(talk(state=State.BOT))
    assert set(Notice.objects.values_list("outlet__member", flat=True)) == {mailed.pk}


def test_what_a_member_does_not_want_is_not_told(bia: Membership, talk: Talk, business: Business):
    Outlet.objects.create(business=business, member=bia, way=Way.EMAIL, handed_off=False)
    wait_for_people(talk(state=State.BOT))
    Outlet.objects.update(handed_off=True, active=False)
    wait_for_people(talk("Caio", state=State.BOT))
    assert not Notice.objects.exists()


# ── gathering ──


def test_many_become_one_mail_and_the_next_one_waits(mailed: Membership, talk: Talk, mailoutbox: Inbox):
    for name in ("Ana", "Caio", "Duda"):
        wait_for_people(talk(name, state=State.BOT))
    later()
    pass_on()
    assert len(mailoutbox) == 1
    assert all(name in mailoutbox[0].body for name in ("Ana", "Caio", "Duda"))
    wait_for_people(talk("Edu", state=State.BOT))
    later()  # gathered, but the last mail is two minutes old
    assert pass_on() == 0
    later()
    assert pass_on() == 0
    later()
    assert pass_on() == 1
    assert len(mailoutbox) == 2
    assert "Ana" not in mailoutbox[1].body


def test_one_person_in_two_businesses_gets_one_mail_at_a_time(
    mailed: Membership, elsewhere: Business, talk: Talk, mailoutbox: Inbox
):
    Membership.objects.create(business=elsewhere, user=mailed.user, role=Role.AGENT)
    wait_for_people(talk(state=State.BOT))
    wait_for_people(talk("Caio", State.BOT, elsewhere))
    later()
    pass_on()  # both were ripe when asked; the second is asked again before it is sent
    assert len(mailoutbox) == 1
    later(notices.PAUSE_S + 1)
    pass_on()
    assert len(mailoutbox) == 2


@pytest.mark.parametrize("move", [Move.TAKE, Move.RESOLVE, Move.GIVE_BACK])
def test_nothing_is_said_of_what_was_settled_meanwhile(
    mailed: Membership, rui: Membership, talk: Talk, mailoutbox: Inbox, move: Move
):
    conversation = talk(state=State.BOT)
    wait_for_people(conversation)
    ownership.act(conversation.pk, Wish(move, f"user:{rui.user_id}"))
    later()
    pass_on()
    assert mailoutbox == []
    assert statuses() == ["moot"]


def test_a_new_wait_is_new(mailed: Membership, rui: Membership, talk: Talk, mailoutbox: Inbox):
    conversation = talk(state=State.BOT)
    wait_for_people(conversation)
    ownership.act(conversation.pk, Wish(Move.GIVE_BACK, f"user:{rui.user_id}"))
    conversation.refresh_from_db()
    # In a transaction of its own, as in life; here the test's one stands still for now().
    Event.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    Notice.objects.update(happened_at=timezone.now() - timedelta(minutes=5))
    wait_for_people(conversation)
    later()
    pass_on()
    assert statuses() == ["moot", "sent"]
    assert len(mailoutbox) == 1


def test_quiet_hours_hold_it_back_until_they_end(mailed: Membership, talk: Talk, mailoutbox: Inbox, business: Business):
    here = timezone.now().astimezone(ZoneInfo(business.timezone))
    wait_for_people(talk(state=State.BOT))
    Outlet.objects.update(quiet_from=(here - timedelta(hours=1)).time(), quiet_to=(here + timedelta(hours=1)).time())
    later()
    assert pass_on() == 0
    Outlet.objects.update(quiet_from=(here + timedelta(hours=1)).time(), quiet_to=(here + timedelta(hours=2)).time())
    assert pass_on() == 1
    assert len(mailoutbox) == 1


@pytest.mark.parametrize(
    ("at", "begin", "end", "held"),
    [
        (time(23), time(22), time(7), True),
        (time(6, 59), time(22), time(7), True),
        (time(7), time(22), time(7), False),
        (time(12), time(22), time(7), False),
        (time(12), time(12), time(13), True),
        (time(13), time(12), time(13), False),
        (time(13), time(13), time(13), False),
        (time(13), None, time(13), False),
    ],
)
def test_quiet_hours_go_past_midnight(at: time, begin: time | None, end: time | None, held: bool):
    assert notices.quiet(at, begin, end) is held


# ── a customer's message without an answer ──


def ago(conversation: Conversation, minutes: int) -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    Conversation.objects.filter(pk=conversation.pk).update(state_at=at, last_inbound_at=at)
    conversation.messages.update(created_at=at)


def test_a_message_without_an_answer_is_told_to_who_has_it(
    bia: Membership, rui: Membership, talk: Talk, business: Business
):
    for each in (bia, rui):
        Outlet.objects.create(business=business, member=each, way=Way.EMAIL, unanswered_minutes=10)
    conversation = talk(state=State.AGENT_ACTIVE)
    Conversation.objects.update(assignee=bia)
    ago(conversation, 9)
    notices.watch()
    assert not Notice.objects.exists()
    ago(conversation, 11)
    for _ in range(2):
        notices.watch()
    notice = Notice.objects.get()
    assert (notice.kind, notice.outlet.member) == ("unanswered", bia)


def test_an_answer_makes_it_moot(mailed: Membership, talk: Talk, mailoutbox: Inbox, business: Business):
    conversation = talk(state=State.AGENT_ACTIVE)
    Conversation.objects.update(assignee=mailed)
    ago(conversation, 20)
    notices.watch()
    assert Notice.objects.get().kind == "unanswered"
    Message.objects.create(
        conversation=conversation,
        business=business,
        inbox=conversation.inbox,
        direction="out",
        author="agent",
        text="!",
    )
    later()
    pass_on()
    assert statuses() == ["moot"]
    assert mailoutbox == []


# ── Slack and webhooks ──


def test_a_signed_webhook_can_be_verified(business: Business, receiver: Receiver, talk: Talk):
    outlet = hook(business, receiver)
    conversation = talk(state=State.BOT)
    wait_for_people(conversation)
    later()
    pass_on()
    (request,) = receiver.hooks.came
    stamp = request.headers["x-prosa-timestamp"]
    assert abs(int(stamp) - clock.time()) < 300
    expected = hmac.new(b"s3cret-of-the-shop", f"{stamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-prosa-signature"] == f"v1={expected}"
    body = request.json()
    assert (body["version"], body["type"], body["business"]["slug"]) == (1, "notices", "loja")
    (told,) = body["notices"]
    assert told["id"] == Notice.objects.get().pk
    assert (told["kind"], told["contact"], told["reason"], told["quote"]) == (
        "handed_off",
        {"name": "Ana"},
        "keyword",
        None,
    )
    assert told["conversation"]["url"].endswith(f"/agent/c/{conversation.pk}")
    outlet.refresh_from_db()
    assert outlet.succeeded_at is not None
    with connection.cursor() as cursor:
        cursor.execute("select address from prosa_desk_outlet")
        assert "s3cret" not in cursor.fetchone()[0]


def test_the_receiver_of_the_guide_takes_what_is_signed_and_nothing_else(
    business: Business, talk: Talk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    guide = (Path(__file__).parents[2] / "docs/howto/notifications.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert code is not None
    made: dict[str, Any] = {"__name__": "guide"}
    exec(code[1], made)  # noqa: S102  what the guide says is run
    made["Receiver"].log_message = lambda *_: None
    server = made["HTTPServer"](("127.0.0.1", 0), made["Receiver"])
    running = threading.Thread(target=server.serve_forever)
    running.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(webhooks, "Client", partial(http.Client, allow=[url]))
    monkeypatch.setattr(webhooks, "check", lambda _url: None)
    try:
        outlet = Outlet.objects.create(business=business, way=Way.WEBHOOK, address={"url": url, "secret": "another"})
        wait_for_people(talk(state=State.BOT))
        with pytest.raises(webhooks.Trouble, match="401"):
            notices.try_out(outlet)
        outlet.address = {"url": url, "secret": made["SECRET"].decode()}
        outlet.save()
        later()
        pass_on()
        Notice.objects.update(status="waiting")
        later(10_000)
        pass_on()  # a second time, as after a worker's death
    finally:
        server.shutdown()
        running.join()
        server.server_close()
    assert capsys.readouterr().out.count("Ana ") == 1


def test_slack_gets_blocks_it_takes_and_no_mentions(business: Business, receiver: Receiver, talk: Talk):
    hook(business, receiver, Way.SLACK, "slack/T1/B1/x")
    for number in range(60):
        wait_for_people(talk(f"<!channel> & {number}" + "x" * 150, state=State.BOT))
    later()
    pass_on()
    assert statuses() == ["sent"] * 60
    text = receiver.hooks.came[0].body.decode()
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp; 0" in text
    assert "40" in receiver.bodies[0]["blocks"][-2]["text"]["text"]


def test_a_teams_outlet_hears_of_its_team(business: Business, receiver: Receiver, talk: Talk):
    team = Team.objects.create(business=business, name="Vendas")
    hook(business, receiver, team=team)
    wait_for_people(talk(state=State.BOT))
    assert not Notice.objects.exists()
    wait_for_people(talk("Caio", state=State.BOT), team=team.pk)
    assert Notice.objects.count() == 1


def test_words_are_quoted_only_where_wanted_and_without_personal_data(
    business: Business, receiver: Receiver, talk: Talk
):
    hook(business, receiver)
    conversation = talk("Ana 11 98765-4321", state=State.BOT)
    conversation.messages.update(text="meu CPF é 529.982.247-25,\nana@example.com")
    Discretion.objects.create(business=business, quotes=True)
    wait_for_people(conversation)
    later()
    pass_on()
    (told,) = receiver.bodies[0]["notices"]
    assert told["quote"] == "meu CPF é [cpf], [email]"
    assert told["contact"]["name"] == "Ana [phone]"


def test_a_receiver_that_fails_is_asked_again_and_the_reason_is_kept(
    business: Business, receiver: Receiver, talk: Talk
):
    outlet = hook(business, receiver, path="signed?status=503")
    wait_for_people(talk(state=State.BOT))
    later()
    pass_on()
    outlet.refresh_from_db()
    assert outlet.error == "answered 503 as you asked"
    assert outlet.attempts == 1
    assert statuses() == ["waiting"]
    assert pass_on() == 0  # it rests
    Outlet.objects.update(address={"url": f"{receiver.url}/signed", "secret": "s"})
    later(notices.RESTS_S[0] + 1)
    assert pass_on() == 1
    outlet.refresh_from_db()
    assert (outlet.error, outlet.failed_at, outlet.attempts) == ("", None, 0)
    assert statuses() == ["sent"]


def test_it_is_given_up_after_more_than_an_hour(business: Business, receiver: Receiver, talk: Talk):
    hook(business, receiver, path="signed?status=503")
    wait_for_people(talk(state=State.BOT))
    for _ in range(len(notices.RESTS_S) + 1):
        assert statuses() == ["waiting"]
        later(3700)
        assert pass_on() == 1
    assert statuses() == ["failed"]
    assert sum(notices.RESTS_S) > 3600


def test_a_receiver_that_is_gone_is_not_asked_again(business: Business, receiver: Receiver, talk: Talk):
    outlet = hook(business, receiver, Way.SLACK, "slack/gone")
    wait_for_people(talk(state=State.BOT))
    later()
    pass_on()
    outlet.refresh_from_db()
    assert outlet.error == "answered 404 no_service"
    assert statuses() == ["failed"]
    (finding,) = notices.doctor_checks()
    assert "Ops" in finding.text
    assert "404 no_service" in finding.text


def test_nobody_can_be_sent_into_the_private_network(business: Business, talk: Talk):
    with pytest.raises(webhooks.Trouble, match="refused"):
        webhooks.post("https://169.254.169.254/latest/meta-data", {})
    with pytest.raises(webhooks.Trouble, match="refused"):
        webhooks.post("https://localhost:1/", {})
    for url in ("http://example.com/x", "https://user:pass@example.com/", "ftp://example.com", "x"):
        with pytest.raises(NotAllowed):
            webhooks.check(url)


def test_the_mail_server_says_no(mailed: Membership, talk: Talk, monkeypatch: pytest.MonkeyPatch):
    def no(_self: Any) -> int:
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", no)
    wait_for_people(talk(state=State.BOT))
    later()
    pass_on()
    outlet = Outlet.objects.get()
    assert outlet.error == "mail ConnectionRefusedError"
    assert statuses() == ["waiting"]


def test_a_mail_is_in_its_readers_language(mailed: Membership, business: Business):
    outlet = Outlet(business=business, member=mailed, way=Way.EMAIL)
    assert digests.Digest(outlet, ()).language == "pt-br"
    Person.objects.create(user=mailed.user, language="es")
    assert digests.Digest(outlet, ()).language == "es"


# ── the pages ──


def test_a_member_sets_what_they_are_told(mailed: Membership, at_desk: Desk, mailoutbox: Inbox):
    client = at_desk(mailed)
    assert "bia@example.com" in client.get("/agent/notifications").content.decode()
    saved = client.post(
        "/agent/notifications",
        {"active": "on", "escalated": "on", "unanswered_minutes": "30", "quiet_from": "22:00", "quiet_to": "07:00"},
    )
    assert saved.status_code == 302
    outlet = Outlet.objects.get()
    assert (outlet.handed_off, outlet.escalated, outlet.unanswered_minutes) == (False, True, 30)
    assert outlet.quiet_from == time(22)
    half = {"active": "on", "unanswered_minutes": "30", "quiet_from": "22:00"}
    assert client.post("/agent/notifications", half).status_code == 422
    page = client.post("/agent/notifications/test", follow=True).content.decode()
    assert "bia@example.com" in page
    assert len(mailoutbox) == 1


def test_an_administrator_adds_tries_and_removes_one(
    member: Callable[..., Membership], at_desk: Desk, receiver: Receiver, business: Business
):
    client = at_desk(member("Ada", Role.ADMIN))
    given = {
        "way": "webhook",
        "name": "Ops",
        "url": f"{receiver.url}/signed",
        "active": "on",
        "unanswered_minutes": "15",
    }
    assert client.post("/agent/notifications/business", given).status_code == 302
    outlet = Outlet.objects.get()
    secret = outlet.address["secret"]
    assert len(secret) > 30
    page = client.get("/agent/notifications/business").content.decode()
    assert "Ops" in page
    assert secret not in page
    assert secret in client.post(f"/agent/notifications/{outlet.pk}/secret").content.decode()
    page = client.post(f"/agent/notifications/{outlet.pk}/test", follow=True).content.decode()
    assert "200" in page
    assert receiver.bodies[0]["type"] == "test"
    changed = given | {"name": "Plantão", "url": ""}
    assert client.post(f"/agent/notifications/{outlet.pk}", changed).status_code == 302
    outlet.refresh_from_db()
    assert (outlet.name, outlet.address["secret"]) == ("Plantão", secret)
    assert outlet.address["url"].endswith("/signed")
    Outlet.objects.update(address={"url": f"{receiver.url}/signed?status=500", "secret": secret})
    page = client.post(f"/agent/notifications/{outlet.pk}/test", follow=True).content.decode()
    assert page.count("500 as you asked") == 2  # said now, and on the list
    client.post("/agent/notifications/discretion", {"quotes": "on"})
    assert Discretion.objects.get(business=business).quotes
    client.post(f"/agent/notifications/{outlet.pk}/remove")
    assert not Outlet.objects.exists()
    kinds = set(AuditEntry.objects.values_list("kind", flat=True))
    assert {"outlet_added", "outlet_changed", "outlet_removed", "outlet_secret_shown", "discretion_changed"} <= kinds


def test_only_administrators_of_the_business_touch_its_outlets(
    bia: Membership, member: Callable[..., Membership], at_desk: Desk, elsewhere: Business, business: Business
):
    theirs = Outlet.objects.create(
        business=elsewhere, way=Way.SLACK, address={"url": "https://hooks.example.com/abcdefgh"}
    )
    own = Outlet.objects.create(business=business, member=bia, way=Way.EMAIL)
    assert at_desk(bia).get("/agent/notifications/business").status_code == 403
    admin = at_desk(member("Ada", Role.ADMIN))
    assert admin.get("/agent/notifications/business").status_code == 200
    for pk in (theirs.pk, own.pk):
        assert admin.get(f"/agent/notifications/{pk}").status_code == 404
        for what in ("test", "secret", "remove"):
            assert admin.post(f"/agent/notifications/{pk}/{what}").status_code == 404
    assert Outlet.objects.count() == 2


def test_an_address_that_may_not_be_called_is_refused_in_words(member: Callable[..., Membership], at_desk: Desk):
    admin = at_desk(member("Ada", Role.ADMIN))
    given = {"way": "slack", "name": "x", "url": "http://example.com", "unanswered_minutes": "15"}
    answer = admin.post("/agent/notifications/business", given)
    assert answer.status_code == 422
    assert "https://" in answer.content.decode()
    assert not Outlet.objects.exists()


def test_there_is_an_end_to_outlets(
    member: Callable[..., Membership], at_desk: Desk, business: Business, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outlets, "MOST_OUTLETS", 0)
    given = {"way": "slack", "name": "x", "url": "https://hooks.example.com/x", "unanswered_minutes": "15"}
    at_desk(member("Ada", Role.ADMIN)).post("/agent/notifications/business", given)
    assert not Outlet.objects.exists()


def test_in_development_mail_is_caught(tmp_path: Any):
    caught = mail_settings("", "", tmp_path)
    assert caught["EMAIL_BACKEND"].endswith("filebased.EmailBackend")
    assert caught["EMAIL_FILE_PATH"] == str(tmp_path)
    assert mail_settings("", "") == {"EMAIL_HOST": ""}
    assert mail_settings("smtp://mail.example.com", "", tmp_path)["EMAIL_HOST"] == "mail.example.com"
