"""Templates between our provider and Meta's double: listed in pages, filled in, refused where Meta would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.simulator.conftest import Stage

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud, body, templates
from prosa.contracts import Identity, InboxConfig, OutboundMessage, Slot, Template
from prosa.errors import BadInput, NotAllowed, PermanentError
from prosa.http import Client
from prosa.simulator import graph_templates

OUTBOUND = Path(__file__).parents[1] / "channels" / "fixtures" / "whatsapp_cloud" / "outbound"
whatsapp = WhatsAppCloud()
TO = (Identity("phone", "5511988887777", "5511988887777"),)


def inbox(stage: Stage, **more: str) -> InboxConfig:
    line = stage.whatsapp
    given = {"token": line.token, "phone_number_id": line.key, "waba_id": line.account, "graph_url": line.api_url}
    return InboxConfig(1, 1, "whatsapp_cloud", "demo", line.key, {**given, **more})


async def test_only_what_is_approved_is_listed(stage: Stage):
    async with Client(allow=[stage.url]) as client:
        found = await whatsapp.templates(client, inbox(stage))
    assert [each.name for each in found] == ["hello_world", "pedido_enviado", "retomar_conversa"]
    sent, again = found[1], found[2]
    assert again.slots == (
        Slot("body.1", "text", "Ana"),
        Slot("body.2", "text", "Loja"),
        Slot("body.3", "text", "o seu pedido"),
    )
    assert again.buttons == ("Sim, continuar", "Agora não")
    assert sent.named
    assert [slot.key for slot in sent.slots] == ["header.pedido", "body.nome", "body.dia", "button.0"]
    assert sent.text({"header.pedido": "7", "body.nome": "Ana"}) == (
        "Pedido 7\nAna, o seu pedido saiu para entrega e chega até {{dia}}."
    )


async def test_every_page_is_read(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    many = [{**graph_templates.TEMPLATES[2], "id": str(place), "name": f"t{place:03}"} for place in range(250)]
    monkeypatch.setattr(graph_templates, "TEMPLATES", many)
    async with Client(allow=[stage.url]) as client:
        found = await whatsapp.templates(client, inbox(stage))
    assert [each.id for each in found] == [str(place) for place in range(250)]


async def test_without_an_account_it_says_what_to_do(stage: Stage):
    async with Client(allow=[stage.url]) as client:
        with pytest.raises(NotAllowed, match="account ID"):
            await whatsapp.templates(client, inbox(stage, waba_id=""))


async def test_a_filled_in_template_is_taken_by_meta(stage: Stage):
    async with Client(allow=[stage.url]) as client:
        config = inbox(stage)
        found = {each.name: each for each in await whatsapp.templates(client, config)}
        values = {"header.pedido": "1042", "body.nome": " Ana\n Souza ", "body.dia": "sexta", "button.0": "1042"}
        message = whatsapp.fill(found["pedido_enviado"], values)
        assert message.text == "Pedido 1042\nAna Souza, o seu pedido saiu para entrega e chega até sexta."
        await whatsapp.send(client, config, OutboundMessage("template", message.text, TO, payload=message.payload))
        bubbles = [bubble for thread in stage.world.threads() for bubble in thread.bubbles.values()]
        assert [bubble.text for bubble in bubbles] == [message.text]
        short = {**message.payload, "components": message.payload["components"][:1]}
        with pytest.raises(PermanentError, match="132000"):
            await whatsapp.send(client, config, OutboundMessage("template", "", TO, payload=short))


@pytest.mark.parametrize(
    ("fixture", "named", "values"),
    [
        ("template", False, {"body.1": "Sheena", "body.2": "1234"}),
        ("template_named_params", True, {"body.first_name": "Sheena"}),
    ],
)
def test_bodies_are_metas(fixture: str, named: bool, values: dict[str, str]):
    wanted = json.loads((OUTBOUND / f"{fixture}.json").read_text())["template"]
    slots = tuple(Slot(key) for key in values)
    template = Template("1", wanted["name"], "en_US", "UTILITY", (("body", "x"),), slots=slots, named=named)
    made = body.body(OutboundMessage("template", to=TO, payload=whatsapp.fill(template, values).payload))["template"]
    assert (made["name"], made["language"]) == (wanted["name"], wanted["language"])
    assert made["components"] == wanted["components"][:1]


def test_files_and_codes_have_their_own_parameters():
    row = {
        "id": "9", "name": "cupom", "language": "pt_BR", "status": "APPROVED", "category": "MARKETING",
        "components": [
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["https://x.example/a.png"]}},
            {"type": "BODY", "text": "Só hoje"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sair"}, {"type": "COPY_CODE", "example": "10OFF"}]},
        ],
    }  # fmt: skip
    (template,) = templates.read([row])
    made = whatsapp.fill(template, {"header.media": "https://x.example/b.png", "button.1": "20OFF"}).payload
    assert made["components"] == [
        {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x.example/b.png"}}]},
        {"type": "button", "sub_type": "copy_code", "index": "1",
         "parameters": [{"type": "coupon_code", "coupon_code": "20OFF"}]},
    ]  # fmt: skip
    for wrong in ({"header.media": "ftp://x", "button.1": "a"}, {"header.media": "https://x.example"}):
        with pytest.raises(BadInput):
            whatsapp.fill(template, wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"category": "AUTHENTICATION"},
        {"components": [{"type": "HEADER", "format": "LOCATION"}]},
        {"components": [{"type": "CAROUSEL", "cards": []}]},
        {"components": [{"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]},
        {"status": "PAUSED"},
    ],
)
def test_what_needs_more_than_words_is_left_out(changes: dict[str, object]):
    assert templates.read([{**graph_templates.TEMPLATES[2], **changes}]) == []
