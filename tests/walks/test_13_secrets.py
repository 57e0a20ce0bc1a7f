"""Promise 13: secrets and what people write never leave for a log, and credentials are sealed at rest."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.walks.house import House, says
from tests.walks.payloads import ANA, SECRET, TOKEN, echo, receipt, said

from prosa.errors import ChannelBroken
from prosa.server.logging import JsonFormatter

PRIVATE = ("meu segredo é azul", "resposta privada", "escrito pela dona", ANA, ANA[2:], SECRET, TOKEN)


async def test_no_secret_no_words_and_no_phone_in_the_log(house: House, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    async def answer(turn: Any) -> Any:
        if len(house.mind.turns) == 1:
            raise RuntimeError("the model is out of order")
        return says("resposta privada")

    async def broken() -> None:
        raise ChannelBroken("The token was revoked.")

    house.mind.answer = answer
    house.carrier.next.append(broken)
    await house.work()
    await house.post(said("meu segredo é azul", "1"))
    await house.post(said("meu segredo é azul", "2"), signed="sha256=0")
    await house.post(b'{"x": "meu segredo ' + TOKEN.encode())
    await house.post(receipt("failed", "wamid.x", error={"code": 131026, "title": ANA}))
    await house.until(lambda: "failed" in str(house.sends()))
    await house.post(said("meu segredo é azul", "3"))
    await house.until(lambda: house.carrier.sent)
    await house.post(echo("escrito pela dona", "e1"))
    await house.quiet()
    assert caplog.records
    formatter = JsonFormatter()
    for record in caplog.records:
        line = formatter.format(record)
        assert not [word for word in PRIVATE if word in line or word in record.getMessage()], line


async def test_credentials_are_sealed_in_the_database(house: House):
    row = str(house.rows("select to_jsonb(i) from prosa_channels_inbox i"))
    assert SECRET not in row
    assert TOKEN not in row


async def test_an_inbox_shows_nothing_of_itself(house: House):
    config = house.doors[0].inboxes.named("whatsapp_cloud", "loja")
    assert config is not None
    assert config.credentials["token"] == TOKEN
    for shown in (repr(config), str(config), f"{[config]!r}"):
        assert SECRET not in shown
        assert TOKEN not in shown
