"""A site signs whom it has signed in: the contact is linked to that customer, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from tests.api.conftest import World

from prosa.business.models import Business
from prosa.channels.models import Inbox
from prosa.contacts.links import Link
from prosa.contracts import Candidate, CustomerRegister, Identity
from prosa.conversations import linking
from prosa.conversations.models import Message
from prosa.hookspecs import hookimpl
from prosa.plugins import manager

SECRET = "segredo-da-loja"
FORTY_TWO = "9decd1fdf1760ed0d855df2974bd8072420116997a07cc201887edd56e4bc99c"
"""HMAC-SHA256 of ``42``, as ``printf 42 | openssl dgst -sha256 -hmac segredo-da-loja`` prints it."""


def find(_business: int, identities: Sequence[Identity]) -> list[Candidate]:
    """By the shop's own id, signed or not: which of the two it was is judged by Prosa."""
    return [Candidate(each.value, f"Customer {each.value}") for each in identities if each.kind in ("signed", "user")]


@pytest.fixture
def register() -> Iterator[None]:
    made = CustomerRegister("shop", "Shop", find, local=True)
    plugin = SimpleNamespace(customer_registers=hookimpl(specname="customer_registers")(lambda: [made]))
    manager().register(plugin, "a shop of signatures")
    linking.registers.cache_clear()
    yield
    manager().unregister(plugin)
    linking.registers.cache_clear()


@pytest.fixture
def inbox_and_key(inbox_and_key: tuple[Inbox, str]) -> tuple[Inbox, str]:
    inbox = inbox_and_key[0]
    inbox.credentials = {"identity_secret": SECRET}
    inbox.save()
    Business.objects.filter(pk=inbox.business_id).update(link_customers=True)
    return inbox_and_key


@sync_to_async
def linked() -> list[tuple[str, str, bool]]:
    linking.link_new()
    return list(Link.objects.values_list("key", "how", "automatic"))


@pytest.mark.usefixtures("register")
async def test_who_is_signed_is_linked_and_who_is_only_named_is_not(web: World):
    wait = {"headers": {"prefer": "wait=0"}}
    assert (await web.ask(user="43", **wait)).status_code == 202
    assert await linked() == []
    assert (await web.ask(user=42, signature=FORTY_TWO.upper(), **wait)).status_code == 202
    assert await linked() == [("42", "signed", True)]


@pytest.mark.parametrize("signature", ["0" * 64, FORTY_TWO])
async def test_a_signature_for_somebody_else_is_refused_and_nothing_stored(web: World, signature: str):
    answer = await web.ask(user="43", signature=signature)
    assert answer.status_code == 403
    assert "signature" in answer.json()["detail"]
    assert not await sync_to_async(Message.objects.exists)()


@pytest.mark.parametrize("signature", ["", "42", "ç" * 64, 7])
async def test_what_is_no_signature_is_said(web: World, signature: object):
    assert (await web.ask(user="42", signature=signature)).status_code == 422
