"""Promise 8: what cannot be undone needs the customer's later yes, and everything that is done is done once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from tests.walks import payloads
from tests.walks.house import Gate, House
from tests.walks.payloads import said
from tests.walks.shop import Shop

from prosa import conf, plugins
from prosa.agents import runner
from prosa.business.models import Business
from prosa.conversations.acts import offers, proving
from prosa.conversations.words import words
from prosa.simulator import fake_llm

BIA = "5511987650002"
CANCEL = ("cancel_order", {"order": "4821"})
MOVE = ("change_address", {"order": "4821", "address": "Rua das Flores, 9"})
ASKED = "Confirma o cancelamento do pedido 4821? Isso não pode ser desfeito."
WORDS = words("pt-br")


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_llm.Control]:
    """The model's double on loopback; it says what its tools said."""
    with fake_llm.running() as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        conf.settings.cache_clear()
        fake_llm.control.reset()
        fake_llm.control.say = lambda prompt: (
            " ".join(prompt.results).replace("<data>", "").replace("</data>", "").strip() or "Certo."
        )
        yield fake_llm.control
        fake_llm.control.reset()
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    plugins.manager().register(made, "shop")
    for known in (offers.offered, proving.ways):
        known.cache_clear()
    yield made
    plugins.manager().unregister(made)
    for known in (offers.offered, proving.ways):
        known.cache_clear()


@pytest.fixture
async def talk(house: House, business: Business, shop: Shop, llm: fake_llm.Control) -> AsyncIterator[House]:
    """Open for business, with a model."""
    house.do("update prosa_business_business set model = 'openai-chat:stub'")
    house.mind.answer = runner.run
    await house.work()
    yield house
    await runner.close()


async def say(house: House, text: str, phone: str = payloads.ANA, body: bytes | None = None) -> str:
    """A customer writes; what we answer."""
    before = len(house.carrier.texts(phone))
    number = f"{phone}{time.monotonic_ns()}"
    assert await house.post(body or said(text, number, phone)) == 200
    await house.until(lambda: len(house.carrier.texts(phone)) > before)
    await house.quiet()
    return house.carrier.texts(phone)[-1]


def tapped(button: str, title: str = "Sim, confirmo", phone: str = payloads.ANA) -> bytes:
    """A tap on a reply button."""
    reply = {"type": "button_reply", "button_reply": {"id": button, "title": title}}
    message = {
        "from": phone,
        "id": f"wamid.tap{time.monotonic_ns()}",
        "timestamp": str(int(time.time())),
        "type": "interactive",
        "interactive": reply,
    }
    return payloads.written([message])


def buttons(house: House) -> list[str]:
    """The ids under the last question."""
    query = "select payload -> 'options' from prosa_conversations_message where payload ? 'options' order by id desc limit 1"
    return [option["id"] for option in house.one(query)]


def statuses(house: House) -> list[str]:
    return [row[0] for row in house.rows("select status from prosa_conversations_pendingaction order by id")]


def ledger(house: House) -> list[tuple[str, str]]:
    return house.rows("select tool, status from prosa_conversations_execution order by id")


def kinds(house: House) -> list[str]:
    return [
        row[0]
        for row in house.rows(
            "select kind from prosa_conversations_event where kind ~ '^(action|tool|identity)_' order by id"
        )
    ]


# ── destructive ──


async def test_a_cancellation_is_asked_for_confirmed_and_done_once(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    assert await say(talk, "quero cancelar o pedido 4821") == ASKED
    assert shop.done == []
    assert statuses(talk) == ["proposed"]
    llm.call()
    assert await say(talk, "sim, pode cancelar") == "O pedido foi cancelado."
    assert shop.names() == ["cancel_order"]
    assert (statuses(talk), ledger(talk)) == (["executed"], [("cancel_order", "done")])
    llm.call()
    await say(talk, "sim")
    await say(talk, "", body=tapped(buttons(talk)[0]))
    assert shop.names() == ["cancel_order"], "a second yes does nothing"
    assert kinds(talk) == ["action_proposed", "action_confirmed", "tool_done"]


async def test_a_button_confirms_its_own_action_only(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    llm.call()
    await say(talk, "", body=tapped("confirm:of-another-action"))
    assert (shop.done, statuses(talk)) == ([], ["proposed"])
    llm.call()
    await say(talk, "", body=tapped(buttons(talk)[0]))
    assert shop.names() == ["cancel_order"]


async def test_no_cancels_and_what_is_unclear_is_asked_again(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    again = await say(talk, "sim, mas só se devolverem o frete")
    assert again.startswith(WORDS["confirm_again"])
    assert again.endswith(ASKED)
    assert await say(talk, "não") == WORDS["refused"]
    assert (shop.done, statuses(talk)) == ([], ["refused"])
    llm.call()
    await say(talk, "sim")
    assert shop.done == [], "the question was settled"


async def test_a_yes_to_something_else_confirms_nothing(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    llm.call()
    assert await say(talk, "vocês abrem aos sábados?") == "Certo."
    assert (await say(talk, "sim")).startswith(WORDS["confirm_again"])
    assert shop.done == []
    llm.call()
    await say(talk, "sim")
    assert shop.names() == ["cancel_order"], "now it was the last thing we asked"


async def test_a_message_in_the_same_burst_as_the_wish_confirms_nothing(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    both = [payloads.text("quero cancelar o pedido 4821", "b1"), payloads.text("sim, confirmo", "b2")]
    assert await say(talk, "", body=payloads.written(both)) == ASKED
    assert (shop.done, statuses(talk)) == ([], ["proposed"])


async def test_a_document_that_says_yes_confirms_nothing(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    llm.call()
    llm.call()
    await say(talk, "o documento diz: sim, confirmo o cancelamento")
    location = {
        "from": payloads.ANA,
        "id": "wamid.loc1",
        "timestamp": str(int(time.time())),
        "type": "location",
        "location": {"latitude": 1.0, "longitude": 2.0, "name": "sim, confirmo"},
    }
    await say(talk, "", body=payloads.written([location]))
    assert (shop.done, statuses(talk)) == ([], ["proposed"])


async def test_a_yes_that_comes_too_late_is_told_so(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    talk.do("update prosa_conversations_pendingaction set expires_at = now() - interval '1 second'")
    assert await say(talk, "sim") == WORDS["expired"]
    assert (shop.done, statuses(talk)) == ([], ["expired"])


async def test_nobody_confirms_for_somebody_else(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    key = buttons(talk)[0]
    llm.call()
    await say(talk, "sim, confirmo", BIA)
    llm.call()
    await say(talk, "", BIA, body=tapped(key, phone=BIA))
    assert (shop.done, statuses(talk)) == ([], ["proposed"])


async def test_a_person_who_takes_over_stops_it(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    await talk.post(payloads.echo("Oi, aqui é a Bia", "echo1"))
    await talk.until(lambda: talk.state() == "agent_active")
    await talk.post(said("sim", "y1"))
    await talk.quiet()
    assert (shop.done, statuses(talk)) == ([], ["proposed"])


async def test_without_a_model_the_confirmed_is_done_and_said(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    talk.do("update prosa_business_business set model = 'offline'")
    assert await say(talk, "sim") == WORDS["done"]
    assert shop.names() == ["cancel_order"]


async def test_who_confirms_and_starts_afresh_at_once_hears_that_it_was_done(
    talk: House, shop: Shop, llm: fake_llm.Control
):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    reply = {"type": "button_reply", "button_reply": {"id": buttons(talk)[0], "title": "Sim, confirmo"}}
    tap = payloads.text("", "tap") | {"type": "interactive", "interactive": reply}
    assert await say(talk, "", body=payloads.written([tap, payloads.text("/limpar", "afresh")])) == WORDS["done"]
    assert (shop.names(), statuses(talk)) == (["cancel_order"], ["executed"])


async def test_what_cannot_be_done_is_not_claimed(talk: House, shop: Shop, llm: fake_llm.Control):
    shop.cancel_identity = "number"
    llm.call(("cancel_order", {"order": "0"}))
    await say(talk, "cancela o pedido 0")
    llm.call()
    assert "Esse pedido não existe." in await say(talk, "sim")
    assert (statuses(talk), ledger(talk)) == (["failed"], [("cancel_order", "failed")])


# ── writes, crashes ──


async def test_a_write_that_was_done_is_not_done_again_when_its_turn_is(talk: House, shop: Shop, llm: fake_llm.Control):
    """The worker dies after the write and before the answer; the customer writes on before the next one begins."""
    llm.call(MOVE)
    llm.next("", "slow")
    gate = Gate()
    real = talk.mind.answer

    async def dies(turn: Any) -> Any:
        await real(turn)
        await gate.wait()

    talk.mind.answer = dies
    await talk.post(said("troca o endereço do 4821 para Rua das Flores, 9", "m1"))
    await talk.until(gate.reached.is_set)
    worker = talk.workers[0][0]
    await talk.kill(worker)
    talk.mind.answer = real
    await talk.post(said("por favor", "m2"))
    llm.call(MOVE)
    await talk.work()
    await talk.until(talk.carrier.texts)
    assert talk.carrier.texts() == ["O endereço foi trocado."]
    assert shop.names() == ["change_address"]
    assert ledger(talk) == [("change_address", "done")]


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_write_that_was_interrupted(talk: House, shop: Shop, llm: fake_llm.Control, idempotent: bool):
    """Nobody knows whether it happened: it is repeated under its key when that is safe, else people look at it."""
    shop.idempotent = idempotent
    offers.offered.cache_clear()
    gate = Gate()
    shop.during = gate.wait
    llm.call(MOVE)
    await talk.post(said("troca o endereço do 4821 para Rua das Flores, 9", "m1"))
    await talk.until(gate.reached.is_set)
    await talk.kill(talk.workers[0][0])
    shop.during = None
    llm.call(MOVE)
    await talk.work()
    await talk.until(talk.carrier.texts)
    await talk.quiet()
    keys = {key for _, _, key in shop.done}
    assert len(keys) == 1
    if idempotent:
        assert (shop.names(), ledger(talk)) == (["change_address"] * 2, [("change_address", "done")])
    else:
        assert (shop.names(), ledger(talk)) == (["change_address"], [("change_address", "unknown")])
        assert talk.state() == "awaiting_agent"
        assert kinds(talk) == ["tool_unknown"]


async def test_a_cancellation_that_was_done_is_not_done_again(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    gate, real = Gate(), talk.mind.answer

    async def dies(_turn: Any) -> Any:
        await gate.wait()

    talk.mind.answer = dies
    await talk.post(said("sim", "y1"))
    await talk.until(gate.reached.is_set)
    assert shop.names() == ["cancel_order"]
    await talk.kill(talk.workers[0][0])
    talk.mind.answer = real
    llm.call()
    await talk.work()
    await talk.until(lambda: len(talk.carrier.texts()) == 2)
    assert talk.carrier.texts()[-1] == "O pedido foi cancelado."
    assert shop.names() == ["cancel_order"]


async def test_what_was_refused_is_refused_again_when_its_turn_is(talk: House, shop: Shop, llm: fake_llm.Control):
    """The worker dies after the refusal: the next try does not do, without arguments, what this one did not."""
    llm.call(CANCEL)
    await say(talk, "cancela o pedido 4821")
    shop.cancel_identity = "verified"
    offers.offered.cache_clear()
    gate, real = Gate(), talk.mind.answer

    async def dies(_turn: Any) -> Any:
        await gate.wait()

    talk.mind.answer = dies
    await talk.post(said("sim", "y1"))
    await talk.until(gate.reached.is_set)
    assert statuses(talk) == ["failed"]
    await talk.kill(talk.workers[0][0])
    talk.mind.answer = real
    llm.call()
    await talk.work()
    await talk.until(lambda: len(talk.carrier.texts()) == 2)
    assert "must show who they are" in talk.carrier.texts()[-1]
    assert (shop.done, talk.state()) == ([], "bot")
    assert ledger(talk) == [("cancel_order", "failed")]


# ── identity ──


async def test_account_data_needs_a_proof_that_fails_closed(talk: House, shop: Shop, llm: fake_llm.Control):
    llm.call(("prove_identity", {"way": "order_number", "value": "4821"}))
    assert "did not write this value" in await say(talk, "onde está meu pedido?"), "a model's guess is no proof"
    llm.call(("prove_identity", {"way": "order_number", "value": "9999"}))
    assert "does not match" in await say(talk, "é o 9999")
    assert {tool["function"]["name"] for tool in llm.requests[-1].body["tools"]} >= {"prove_identity", "change_address"}
    assert "order_status" not in json.dumps(llm.requests[-1].body["tools"][:-1]).replace("which order_status needs", "")
    llm.call(("prove_identity", {"way": "order_number", "value": "4821"}))
    llm.call(("order_status", {"order": "4821"}))
    assert "saiu para entrega" in await say(talk, "desculpa, 4821")
    assert kinds(talk) == ["identity_not_proved", "identity_proved"]
    assert "SO-" not in json.dumps([request.body for request in llm.requests]), "a record is not the model's"
    trace = json.dumps(talk.rows("select trace from prosa_conversations_turn"))
    assert "[secret]" in trace
    assert '"value": "4821"' not in trace
    assert talk.mind.turns[-1].identity == "number"
    llm.call()
    await say(talk, "obrigada")
    assert talk.mind.turns[-1].identity == "verified"
    talk.do(
        "insert into prosa_contacts_identity (business_id, contact_id, key, address) select business_id, id, 'user:x', '' from prosa_contacts_contact"
    )
    llm.call()
    await say(talk, "oi")
    assert talk.mind.turns[-1].identity == "number", "another identity, another person perhaps"


async def test_five_wrong_values_are_enough_for_a_day(talk: House, shop: Shop, llm: fake_llm.Control):
    for number in range(5):
        llm.call(("prove_identity", {"way": "order_number", "value": f"100{number}"}))
        answer = await say(talk, f"é o 100{number}")
    assert "too many" in answer
    llm.call(("prove_identity", {"way": "order_number", "value": "4821"}))
    assert "too many" in await say(talk, "4821")
    assert talk.mind.turns[-1].identity == "number"


@pytest.mark.parametrize(("known_before", "arrives"), [(True, True), (False, False)])
async def test_a_code_goes_to_the_address_the_business_had(
    talk: House, shop: Shop, llm: fake_llm.Control, mailoutbox: list[Any], known_before: bool, arrives: bool
):
    llm.call()
    await say(talk, "oi")
    when = "c.created_at - interval '1 day'" if known_before else "now()"
    talk.do(
        "insert into prosa_contacts_identity (business_id, contact_id, key, address, created_at)"
        f" select c.business_id, c.contact_id, 'email:ana@example.com', '', {when} from prosa_conversations_conversation c"
    )
    llm.call(("prove_identity", {"way": "email_code"}))
    answer = await say(talk, "onde está meu pedido? meu e-mail é eva@example.org")
    assert [mail.to for mail in mailoutbox] == ([["ana@example.com"]] if arrives else [])
    if not arrives:
        assert "knows no e-mail" in answer
        return
    assert "a…@e….com" in answer
    code = next(
        word.strip(".")
        for word in mailoutbox[0].body.split()
        if word.strip(".").isdigit() and len(word.strip(".")) == 6
    )
    assert code not in json.dumps(talk.rows("select to_jsonb(p) from prosa_conversations_identityproof p"))
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    llm.call(("prove_identity", {"way": "email_code", "value": wrong}))
    assert "does not match" in await say(talk, wrong)
    llm.call(("prove_identity", {"way": "email_code", "value": code}))
    llm.call(("order_status", {"order": "4821"}))
    assert "saiu para entrega" in await say(talk, f"{code} e o pedido é o 4821")


async def test_three_wrong_codes_end_a_code(talk: House, shop: Shop, llm: fake_llm.Control, mailoutbox: list[Any]):
    llm.call()
    await say(talk, "oi")
    talk.do(
        "insert into prosa_contacts_identity (business_id, contact_id, key, address, created_at)"
        " select c.business_id, c.contact_id, 'email:ana@example.com', '', c.created_at - interval '1 day' from prosa_conversations_conversation c"
    )
    llm.call(("prove_identity", {"way": "email_code"}))
    await say(talk, "onde está meu pedido?")
    code = next(
        word.strip(".")
        for word in mailoutbox[0].body.split()
        if word.strip(".").isdigit() and len(word.strip(".")) == 6
    )
    for step in (1, 2, 3):
        wrong = f"{(int(code) + step) % 1_000_000:06d}"
        llm.call(("prove_identity", {"way": "email_code", "value": wrong}))
        await say(talk, wrong)
    llm.call(("prove_identity", {"way": "email_code", "value": code}))
    assert "No code is waiting" in await say(talk, code)
    assert talk.mind.turns[-1].identity == "number"


async def test_kill_9_in_the_middle_of_a_write(
    house: House, business: Business, shop: Shop, llm: fake_llm.Control, dsn: str, tmp_path: Path
):
    """A real process, a real SIGKILL: the write is not repeated, and people are told."""
    house.do("update prosa_business_business set model = 'openai-chat:stub'")
    told = tmp_path / "begun.txt"
    llm.call(MOVE)
    environment = {
        **os.environ,
        "DATABASE_URL": conf.settings().database_url,
        "PROSA_SECRET_KEY": django_settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "prosa.server.settings",
    }
    with (tmp_path / "worker.txt").open("wb") as log:
        worker = subprocess.Popen(  # noqa: ASYNC220  as short as a fork
            [sys.executable, "-m", "tests.walks.dying_worker", dsn, str(told)],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    try:
        assert await house.post(said("troca o endereço do 4821 para Rua das Flores, 9", "m1")) == 200
        await house.until(lambda: told.exists() and told.read_text())
    except AssertionError as error:
        raise AssertionError((tmp_path / "worker.txt").read_text()[-3000:]) from error
    finally:
        worker.kill()
        worker.wait()
    assert ledger(house) == [("change_address", "running")]
    house.mind.answer = runner.run
    llm.call(MOVE)
    await house.work()
    await house.until(house.carrier.texts)
    await house.quiet()
    assert shop.done == [], "the second worker did not do it again"
    assert ledger(house) == [("change_address", "unknown")]
    assert house.state() == "awaiting_agent"
    await runner.close()
