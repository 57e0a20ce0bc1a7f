"""A merge in the middle of everything: nobody's answer is lost, and every answer goes to the number that asked."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from django.db import transaction
from tests.walks.house import Gate, House, elsewhere
from tests.walks.payloads import ANA, said

from prosa.contacts.models import Contact, Fact, Identity, Merge
from prosa.contracts import Turn
from prosa.conversations import begin, linking, merging, ownership
from prosa.conversations.models import Conversation

OTHER = "5521976540002"


def owner(phone: str) -> Contact:
    return Identity.objects.select_related("contact__business").get(key=f"phone:{phone}").contact


def join(kept: str, merged: str) -> Merge:
    return merging.merge(owner(kept), owner(merged), None)


async def test_a_merge_while_the_model_thinks_and_back(house: House):
    gate, numbers = Gate(), []

    async def slow(turn: Turn) -> Any:
        numbers.append(turn.customer_number)
        if turn.question[-1].text == "devagar":
            await gate.wait()
        return await house.mind.echo(turn)

    house.mind.answer = slow
    await house.work()
    await house.post(said("oi", "1"))
    await house.until(lambda: house.carrier.texts() == ["eco: oi"])
    await elsewhere(lambda: ownership.resolve(house.conversation(), "user:1"))
    await house.post(said("devagar", "2", OTHER))
    await gate.reached.wait()
    made = await elsewhere(lambda: join(ANA, OTHER))
    gate.open.set()
    await house.until(lambda: house.carrier.texts(OTHER) == ["eco: devagar"])
    # Both numbers are one contact with one open conversation now; each is answered where it wrote.
    await house.post(said("eu de novo", "3", OTHER))
    await house.until(lambda: house.carrier.texts(OTHER)[1:] == ["eco: eu de novo"])
    await house.post(said("eu também", "4"))
    await house.until(lambda: house.carrier.texts()[1:] == ["eco: eu também"])
    assert numbers == [ANA, OTHER, OTHER, ANA]
    # A tool that asks is told who they are in the shop; the turn itself never looked.
    await elsewhere(lambda: linking.link(owner(OTHER), "shop", "7", "Ana", None))
    turns = house.workers[0][0].turns
    begun = await begin.begin(turns._pool, turns._inboxes, house.conversation())
    assert begun is not None
    assert begun.caller is not None
    assert [await begun.caller.linked(kind) for kind in ("shop", "elsewhere")] == ["7", ""]
    assert await elsewhere(Conversation.objects.count) == 2
    # What is told now goes with the conversation it was told in.
    await elsewhere(
        lambda: Fact.objects.create(
            business=made.business, contact=owner(ANA), text="Vegana", key="vegana",
            conversation_id=Conversation.objects.latest("pk").pk,
        )
    )  # fmt: skip
    await elsewhere(lambda: merging.undo(made, None))
    theirs = await elsewhere(
        lambda: [(each.facts.count(), each.conversations.count()) for each in (owner(ANA), owner(OTHER))]
    )
    assert theirs == [(0, 1), (1, 1)]
    for number, phone in enumerate((ANA, OTHER)):
        await house.post(said(f"fim {number}", f"5{number}", phone))
    await house.until(lambda: house.carrier.texts()[2:] == ["eco: fim 0"])
    await house.until(lambda: house.carrier.texts(OTHER)[2:] == ["eco: fim 1"])
    await house.quiet()
    assert house.pending() == 0
    assert numbers[4:] in ([ANA, OTHER], [OTHER, ANA])


async def test_nothing_is_lost_while_contacts_are_merged_and_parted(house: House):
    """The door stores what comes in the middle of it where it belongs, and the merges do not stand in its way."""
    await house.post(said("oi", "a1"))
    await house.post(said("oi", "b1", OTHER))
    await elsewhere(lambda: ownership.resolve(Conversation.objects.get(contact=owner(ANA)).pk, "user:1"))

    async def write() -> None:
        for number in range(12):
            assert await house.post(said(f"linha {number}", f"b1{number}", OTHER)) == 200

    async def toggle() -> None:
        for _ in range(3):
            made = await elsewhere(lambda: join(ANA, OTHER))
            await elsewhere(lambda made=made: merging.undo(made, None))

    await asyncio.gather(write(), toggle())
    counts = await elsewhere(
        lambda: [sum(each.messages.count() for each in owner(phone).conversations.all()) for phone in (ANA, OTHER)]
    )
    assert counts == [1, 13]
    assert house.one("select count(*) from prosa_conversations_conversation where origin_id is not null or writer_id is not null") == 0  # fmt: skip
    assert house.one("select count(*) from prosa_conversations_webhookevent where outcome <> 'ok'") == 0


async def test_a_message_that_meets_a_merge_goes_on_being_answered_at_its_own_number(house: House):
    await house.post(said("oi", "a1"))
    await house.post(said("oi", "b1", OTHER))
    await elsewhere(lambda: ownership.resolve(Conversation.objects.get(contact=owner(ANA)).pk, "user:1"))
    merged, go = threading.Event(), threading.Event()

    def hold() -> Merge:
        with transaction.atomic():
            made = join(ANA, OTHER)
            merged.set()
            go.wait(60)
        return made

    merging_ = asyncio.create_task(elsewhere(hold))
    await house.until(merged.is_set)
    arriving = asyncio.create_task(house.post(said("no meio", "b2", OTHER)))
    waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    await house.until(lambda: house.one(waits))
    go.set()
    made = await merging_
    assert await arriving == 200
    talk = await elsewhere(lambda: Conversation.objects.get(origin_id=made.merged_id))
    assert (talk.contact_id, talk.writer_id) == (made.kept_id, made.merged_id)
    await house.work()
    await house.until(lambda: "no meio" in "".join(house.carrier.texts(OTHER)))
    assert house.carrier.texts() == []
