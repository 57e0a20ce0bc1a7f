"""The composer: files, voice notes, quotations, canned replies, the assistant's help, and messages for later."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from prosa import realtime
from prosa.business.models import Business
from prosa.business.people import Membership, Role
from prosa.conversations import copilot
from prosa.conversations.copilot import Source, Suggestion
from prosa.conversations.models import Attachment, Conversation, Message, State, Turn
from prosa.desk import canned, schedule
from prosa.desk.models import CannedReply, Place, Scheduled
from prosa.errors import BadInput, NotAllowed

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
Told = Callable[[Conversation], int]


def of(conversation: Conversation) -> Conversation:
    conversation.refresh_from_db()
    return conversation


def post(client: Client, name: str, conversation: Conversation, *more: int, **values: Any) -> Any:
    return client.post(reverse(f"desk:{name}", args=[conversation.pk, *more]), values)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """How often it was published that a conversation changed since the last look."""
    heard: list[tuple[str, int]] = []
    monkeypatch.setattr(realtime, "publish", lambda topic, pk: heard.append((topic, pk)))

    def count(conversation: Conversation) -> int:
        found = heard.count(("conversation", conversation.pk))
        heard.clear()
        return found

    return count


def since(client: Client, conversation: Conversation) -> str:
    page: str = client.get(reverse("desk:since", args=[conversation.pk])).content.decode()
    return page


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


def out() -> list[tuple[str, str]]:
    rows = Message.objects.filter(direction="out").order_by("pk")
    return list(rows.values_list("kind", "text"))


# ── files and quotations ──


def test_words_never_hide_under_a_sound(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    sound = SimpleUploadedFile("a.mp3", b"ID3 sound", "audio/mpeg")
    assert post(client, "reply", conversation, text="Ouça:", file=sound, key="k").status_code == 204
    assert out() == [("text", "Ouça:"), ("audio", "")]
    sound.seek(0)
    assert post(client, "reply", conversation, text="Ouça:", file=sound, key="k").status_code == 204
    assert len(out()) == 2
    picture = SimpleUploadedFile("a.png", b"picture", "image/png")
    assert post(client, "reply", conversation, text="x" * 2000, file=picture, key="l").status_code == 204
    assert out()[2:] == [("text", "x" * 2000), ("image", "")]


def stored(tmp_path: Path) -> int:
    return sum(1 for each in tmp_path.rglob("*") if each.is_file())


def test_a_large_file_is_stored_before_anybody_has_to_wait_for_it(
    bia: Membership, at_desk: Desk, talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """No row is written, so none is locked and no number taken, until all of it is kept."""
    conversation, good, before = talk(), FileSystemStorage.save, []

    def save(*given: Any, **more: Any) -> str:
        before.append(Message.objects.filter(direction="out").count())
        return good(*given, **more)

    monkeypatch.setattr(FileSystemStorage, "save", save)
    sound = SimpleUploadedFile("a.mp3", b"ID3 sound", "audio/mpeg")
    assert post(at_desk(bia), "reply", conversation, text="Ouça:", file=sound).status_code == 204
    assert before == [0]
    with Attachment.objects.get().file.open() as kept:
        assert kept.read() == b"ID3 sound"
    assert stored(tmp_path) == 1


@pytest.mark.parametrize("why", ["overtaken", "too late", "twice", "too many words"])
def test_what_is_not_sent_leaves_no_file_behind(
    why: str, bia: Membership, rui: Membership, at_desk: Desk, talk: Talk, tmp_path: Path
):
    conversation, client = talk(), at_desk(bia)
    values: dict[str, Any] = {"text": "Veja", "key": "k", "epoch": conversation.epoch}
    if why == "overtaken":
        assert post(at_desk(rui), "reply", conversation, text="Eu cuido").status_code == 204
    elif why == "too late":
        Conversation.objects.update(last_inbound_at=timezone.now() - timedelta(hours=25))
    elif why == "twice":
        picture = SimpleUploadedFile("a.png", b"picture", "image/png")
        assert post(client, "reply", conversation, file=picture, **values).status_code == 204
    else:
        values["text"] = "x" * 5000
    picture = SimpleUploadedFile("a.png", b"picture", "image/png")
    answer = post(client, "reply", conversation, file=picture, **values)
    assert answer.status_code == {"overtaken": 409, "twice": 204}.get(why, 422)
    assert stored(tmp_path) == Attachment.objects.count() == (why == "twice")


def test_an_empty_file_is_not_sent(bia: Membership, at_desk: Desk, talk: Talk):
    answer = post(at_desk(bia), "reply", talk(), text="", file=SimpleUploadedFile("a.pdf", b"", "application/pdf"))
    assert answer.status_code == 422
    assert "empty" in answer.content.decode()
    assert out() == []


def test_limits_are_told_to_the_page(bia: Membership, at_desk: Desk, talk: Talk):
    page = at_desk(bia).get(reverse("desk:conversation", args=[talk().pk])).content.decode()
    assert '"image": 5242880' in page
    assert '"audio/ogg": "audio"' in page


def test_an_answer_to_one_message_names_it_as_the_channel_does(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, other, client = talk(), talk("Eva"), at_desk(bia)
    asked = conversation.messages.get()
    assert f'data-quote="{asked.pk}"' not in client.get(f"/agent/c/{conversation.pk}").content.decode()
    Message.objects.filter(pk=asked.pk).update(provider_id="wamid.X")
    assert f'data-quote="{asked.pk}"' in client.get(f"/agent/c/{conversation.pk}").content.decode()
    assert post(client, "reply", conversation, text="Isto?", quote=asked.pk).status_code == 204
    assert Message.objects.get(direction="out").reply_to == "wamid.X"
    assert "<blockquote>" in client.get(f"/agent/c/{conversation.pk}").content.decode()
    # nobody quotes what was said elsewhere
    assert post(client, "reply", other, text="Isto?", quote=asked.pk).status_code == 422
    assert Message.objects.filter(direction="out").count() == 1


# ── voice notes ──


def recording() -> bytes:
    """Half a second of sound in WebM, as Chrome records it."""
    av = pytest.importorskip("av")
    made = io.BytesIO()
    with av.open(made, "w", format="webm") as film:
        said = film.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        for place in range(25):
            frame.planes[0].update(bytes((place * 7 + each) % 120 for each in range(1920)))
            frame.sample_rate, frame.pts = 48_000, place * 960
            film.mux(said.encode(frame))
        film.mux(said.encode(None))
    return made.getvalue()


def test_what_chrome_records_arrives_as_a_voice_note(bia: Membership, at_desk: Desk, talk: Talk):
    file = SimpleUploadedFile("voice.webm", recording(), "audio/webm")
    assert post(at_desk(bia), "reply", talk(), text="", file=file, voice="1").status_code == 204
    kept = Attachment.objects.get()
    assert (kept.kind, kept.mime_type, kept.voice) == ("audio", "audio/ogg; codecs=opus", True)
    with kept.file.open() as stored:
        assert stored.read(4) == b"OggS"
        stored.seek(0)
        assert b"OpusHead" in stored.read(100)


def test_a_recording_without_sound_is_told(bia: Membership, at_desk: Desk, talk: Talk):
    pytest.importorskip("av")
    file = SimpleUploadedFile("voice.webm", b"no sound at all", "audio/webm")
    answer = post(at_desk(bia), "reply", talk(), text="", file=file, voice="1")
    assert answer.status_code == 422
    assert out() == []


def test_without_the_extra_a_recording_goes_as_a_file(
    bia: Membership, at_desk: Desk, talk: Talk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    file = SimpleUploadedFile("voice.webm", b"webm bytes", "audio/webm")
    assert post(at_desk(bia), "reply", talk(), text="", file=file, voice="1").status_code == 204
    kept = Attachment.objects.get()
    assert (kept.kind, kept.voice, kept.size) == ("document", False, 10)


# ── canned replies ──


def test_places_are_filled_in_where_it_is_inserted(bia: Membership, at_desk: Desk, talk: Talk, business: Business):
    CannedReply.objects.create(business=business, shortcut="oi", text="Olá {name}! Aqui é {agent}, da {business}.")
    page = at_desk(bia).get(f"/agent/c/{talk('Ana Souza').pk}").content.decode()
    assert "Olá Ana! Aqui é Bia, da Loja." in page
    nameless = talk("")
    assert "Olá! Aqui é Bia, da Loja." in at_desk(bia).get(f"/agent/c/{nameless.pk}").content.decode()


def test_filling_in_leaves_the_rest_alone():
    assert canned.fill("{name}, veja {isto}  .", {"name": "Ana"}) == "Ana, veja {isto}  ."
    assert canned.fill("Oi {name} .\nTchau {name}", {"name": ""}) == "Oi.\nTchau"


def test_agents_keep_canned_replies(
    bia: Membership, at_desk: Desk, business: Business, elsewhere: Business, member: Any
):
    client = at_desk(bia)
    assert client.post("/agent/canned", {"shortcut": "/Frete", "text": "O frete custa R$ 10."}).status_code == 302
    one = CannedReply.objects.get()
    assert (one.business, one.shortcut) == (business, "frete")
    again = client.post("/agent/canned", {"shortcut": "frete", "text": "x"})
    assert again.status_code == 422
    assert "already" in again.content.decode()
    unknown = client.post("/agent/canned", {"shortcut": "b", "text": "Oi {nome}"})
    assert unknown.status_code == 422
    assert "{nome} would reach the customer" in unknown.content.decode()
    assert client.post(f"/agent/canned/{one.pk}", {"shortcut": "frete", "text": "R$ 12."}).status_code == 302
    assert CannedReply.objects.get().text == "R$ 12."
    theirs = CannedReply.objects.create(business=elsewhere, shortcut="x", text="y")
    assert client.get(f"/agent/canned/{theirs.pk}").status_code == 404
    assert client.post(f"/agent/canned/{theirs.pk}/delete").status_code == 404
    assert at_desk(member("Vera", Role.VIEWER)).get("/agent/canned").status_code == 403
    assert client.post(f"/agent/canned/{one.pk}/delete").status_code == 302
    assert list(CannedReply.objects.all()) == [theirs]


# ── the assistant's help ──


@pytest.fixture
def help_(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the copilot answers, or raises; and what it was asked."""
    told: dict[str, Any] = {"asked": []}

    async def suggest(_door: Any, *asked: Any) -> Any:
        told["asked"].append(asked)
        if isinstance(told.get("suggest"), Exception):
            raise told["suggest"]
        return told["suggest"]

    async def rewrite(_door: Any, *asked: Any) -> Any:
        told["asked"].append(asked)
        if isinstance(told.get("rewrite"), Exception):
            raise told["rewrite"]
        return told["rewrite"]

    def now(work: Callable[[Any], Any]) -> Any:
        import asyncio

        return asyncio.run(work(None))

    monkeypatch.setattr(copilot, "suggest", suggest)
    monkeypatch.setattr(copilot, "rewrite", rewrite)
    monkeypatch.setattr(copilot, "now", now)
    return told


def test_a_suggestion_comes_with_its_sources_in_the_channels_marks(
    bia: Membership, at_desk: Desk, talk: Talk, help_: dict[str, Any]
):
    conversation = talk()
    help_["suggest"] = Suggestion(
        "O frete custa **R$ 18,90**.", (Source("passage", "Entregas, p. 2", "https://l.example/f"),)
    )
    page = post(at_desk(bia), "suggest", conversation).content.decode()
    assert 'data-use="O frete custa *R$ 18,90*."' in page
    assert 'href="https://l.example/f"' in page
    assert help_["asked"] == [(bia.business_id, conversation.pk)]
    assert out() == []
    assert of(conversation).state == State.AWAITING_AGENT


@pytest.mark.parametrize(
    ("trouble", "status"), [(BadInput("x"), 422), (NotAllowed("secret detail"), 503), (TimeoutError(), 503)]
)
def test_no_suggestion_is_said_calmly(
    trouble: Exception, status: int, bia: Membership, at_desk: Desk, talk: Talk, help_: dict[str, Any]
):
    help_["suggest"] = trouble
    answer = post(at_desk(bia), "suggest", talk())
    assert answer.status_code == status
    assert "secret detail" not in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()


def test_what_is_written_comes_back_in_other_words(bia: Membership, at_desk: Desk, talk: Talk, help_: dict[str, Any]):
    conversation, client = talk(), at_desk(bia)
    help_["rewrite"] = "Prezada Ana"
    answer = post(client, "rewrite", conversation, text=" Oi Ana ", way="formal")
    assert answer.json() == {"text": "Prezada Ana"}
    assert help_["asked"] == [(bia.business_id, conversation.pk, "Oi Ana", "formal")]
    for wrong in ({"text": "", "way": "formal"}, {"text": "Oi", "way": "rude"}, {"text": "x" * 5000, "way": "formal"}):
        assert post(client, "rewrite", conversation, **wrong).status_code == 422
    assert len(help_["asked"]) == 1
    help_["rewrite"] = NotAllowed("no model")
    refused = post(client, "rewrite", conversation, text="Oi", way="formal")
    assert refused.status_code == 409
    assert "No model can be asked just now" in refused.content.decode()


def test_the_assistants_help_is_for_who_may_write(
    member: Any, elsewhere: Business, at_desk: Desk, talk: Talk, help_: Any
):
    theirs = talk("Segredo", of=elsewhere)
    mine = talk()
    for name in ("suggest", "rewrite", "schedule", "template"):
        assert post(at_desk(member(f"Vera{name}", Role.VIEWER)), name, mine).status_code == 403
        assert post(at_desk(member(f"Bob{name}")), name, theirs).status_code == 404
    assert help_["asked"] == []


def test_the_draft_a_person_forestalled_is_offered_until_they_have_written(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(state=State.AGENT_ACTIVE), at_desk(bia)
    now = timezone.now()
    turn = Turn.objects.create(
        conversation=conversation, business=conversation.business, outcome="withheld", started_at=now, finished_at=now,
        draft="O frete é **R$ 10**.",
    )  # fmt: skip
    for page in (client.get(f"/agent/c/{conversation.pk}").content.decode(), since(client, conversation)):
        assert f'data-turn="{turn.pk}"' in page
        assert 'data-use="O frete é *R$ 10*."' in page
    assert post(client, "reply", conversation, text="Já vejo").status_code == 204
    assert "data-turn" not in since(client, conversation)
    Message.objects.filter(direction="out").update(created_at=now - timedelta(seconds=5))
    assert "data-turn" in since(client, conversation)
    Conversation.objects.filter(pk=conversation.pk).update(state=State.BOT)
    assert "data-turn" not in since(client, conversation)


# ── later ──


def in_(minutes: int) -> str:
    return (timezone.now() + timedelta(minutes=minutes)).isoformat()


def due(conversation: Conversation, member: Membership, text: str = "Olá!") -> Scheduled:
    past = timezone.now() - timedelta(seconds=1)
    return Scheduled.objects.create(
        conversation=conversation, business=conversation.business, member=member, text=text, send_at=past
    )


def test_a_message_for_later_waits_is_seen_and_can_be_taken_back(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    Place.objects.update_or_create(conversation=conversation, member=bia, defaults={"draft": "Oi amanhã"})
    assert post(client, "schedule", conversation, text="Oi amanhã", at=in_(60)).status_code == 204
    row = Scheduled.objects.get()
    assert Place.objects.get(member=bia).draft == ""
    assert "Oi amanhã" in since(client, conversation)
    schedule.send_due()
    assert out() == []
    assert post(client, "unschedule", conversation, row.pk).status_code == 204
    assert post(client, "unschedule", conversation, row.pk).status_code == 409
    assert "Oi amanhã" not in since(client, conversation)
    assert post(client, "unschedule", talk("Eva"), row.pk).status_code == 404


@pytest.mark.parametrize("values", [{"text": "", "at": in_(5)}, {"text": "x", "at": in_(-5)}, {"text": "x", "at": "soon"},
                                    {"text": "x", "at": in_(600_000)}, {"text": "x" * 5000, "at": in_(5)}])  # fmt: skip
def test_what_cannot_wait_is_told(values: dict[str, str], bia: Membership, at_desk: Desk, talk: Talk):
    assert post(at_desk(bia), "schedule", talk(), **values).status_code == 422
    assert not Scheduled.objects.exists()


def test_what_is_due_leaves_once(bia: Membership, talk: Talk):
    # What it leaves alone is in test_schedule.py.
    row = due(talk(state=State.BOT), bia)
    schedule.send_due()
    schedule.send_due()
    # a worker that was killed after sending and before writing it down
    Scheduled.objects.filter(pk=row.pk).update(status="waiting")
    schedule.send_due()
    assert out() == [("text", "Olá!")]
    row.refresh_from_db()
    assert row.status == "sent"


def test_what_cannot_leave_says_why_where_it_stood(bia: Membership, rui: Membership, at_desk: Desk, talk: Talk):
    closed, resolved, gone = talk("Ana"), talk("Eva"), talk("Lia")
    Conversation.objects.filter(pk=closed.pk).update(last_inbound_at=timezone.now() - timedelta(hours=25))
    Conversation.objects.filter(pk=resolved.pk).update(state=State.RESOLVED)
    Membership.objects.filter(pk=rui.pk).update(left_at=timezone.now())
    rows = [due(closed, bia), due(resolved, bia), due(gone, rui)]
    schedule.send_due()
    assert out() == []
    for row in rows:
        row.refresh_from_db()
        assert row.status == "failed"
        assert row.error
    page = since(at_desk(bia), closed)
    assert "24 h" in page
    assert "data-again" in page
    assert post(at_desk(bia), "unschedule", closed, rows[0].pk).status_code == 204
    assert "data-again" not in since(at_desk(bia), closed)


def test_that_a_colleague_writes_is_said_and_ends(
    bia: Membership, rui: Membership, at_desk: Desk, talk: Talk, told: Told
):
    conversation, mine, theirs = talk(), at_desk(bia), at_desk(rui)
    words = "Rui is writing here too"
    assert post(theirs, "draft", conversation, text="Oi").status_code == 204
    page = since(mine, conversation)
    assert words in page
    assert 'data-look-again="8"' in page  # whoever sees it looks again when it should be over
    assert words not in since(theirs, conversation)
    assert told(conversation) == 1
    post(theirs, "draft", conversation, text="Oi Ana")  # keys go on: it lasts, and nobody need be told
    assert told(conversation) == 0
    # his last key was long ago, and then he empties the field: that is told
    Place.objects.filter(member=rui).update(typing_until=timezone.now() - timedelta(seconds=1))
    assert words not in since(mine, conversation)
    assert "data-look-again" not in since(mine, conversation)
    post(theirs, "draft", conversation, text="")
    assert told(conversation) == 1
    post(theirs, "draft", conversation, text="Oi")
    post(theirs, "reply", conversation, text="Oi")
    assert words not in since(mine, conversation)


def test_a_file_that_follows_leaves_what_is_written_meanwhile(bia: Membership, at_desk: Desk, talk: Talk):
    conversation, client = talk(), at_desk(bia)
    one, two = (SimpleUploadedFile(name, b"picture", "image/png") for name in ("1.png", "2.png"))
    post(client, "draft", conversation, text="Duas")
    assert post(client, "reply", conversation, text="Duas", file=one, key="1").status_code == 204
    assert Place.objects.get(member=bia).draft == ""
    post(client, "draft", conversation, text="E mais")
    assert post(client, "reply", conversation, text="", file=two, key="2").status_code == 204
    assert Place.objects.get(member=bia).draft == "E mais"


def test_drafts_are_each_persons_own_and_reach_their_other_tab(
    bia: Membership, rui: Membership, at_desk: Desk, talk: Talk
):
    one, two = talk("Ana"), talk("Eva")
    client = at_desk(bia)
    assert post(client, "draft", one, text="Oi An").status_code == 204
    assert 'data-text="Oi An"' in since(client, one)
    assert 'data-text=""' in since(client, two)
    assert 'data-text=""' in since(at_desk(rui), one)
    assert ">Oi An</textarea>" in client.get(f"/agent/c/{one.pk}").content.decode()
    assert post(client, "reply", one, text="Oi Ana").status_code == 204
    assert 'data-text=""' in since(client, one)
