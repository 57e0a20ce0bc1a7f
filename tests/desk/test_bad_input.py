"""Whatever is sent to whatever address of the desk: a clear answer, never an error of the server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, converters

from prosa.business.people import Membership, Role
from prosa.conversations.models import Conversation, Message
from prosa.desk.urls import urlpatterns

Desk = Callable[[Membership], Client]
Talk = Callable[..., Conversation]

HUGE = "9" * 24
WILD = ("", HUGE, "-1", "x,y", "ﷺ" * 300, "٣", "²", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2024-01-01T00:00:00+00:00," + HUGE, "[]", "{}", "member:" + HUGE)  # fmt: skip
FIELDS = (
    "text", "key", "epoch", "quote", "voice", "note", "to", "until", "at", "after", "before", "unfinished", "on", "name",
    "colour", "shortcut", "email", "role", "capacity", "members", "fallback", "about", "way", "url", "team", "unanswered_minutes",
    "quiet_from", "quiet_to", "code", "password", "old_password", "new_password1", "new_password2", "language", "next", "q",
    "queue", "inbox", "label", "assignee", "kind", "who", "copy", "template", "values", "send_at", "username",
    "other", "contact", "case", "answer", "question", "identity", "reason", "day", "hours",
)  # fmt: skip
LEFT_OUT = {"stream", "suggest", "rewrite", "logout"}
"""What waits for events or for a model; and what would end the test."""


def addresses(conversation: Conversation) -> list[tuple[str, str]]:
    """Every address of the desk, by its name, with numbers of something that is there, is not, and cannot be."""
    made = []
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        if pattern.name in LEFT_OUT:
            continue
        for number in (str(conversation.pk), HUGE):
            path = "/agent/" + str(pattern.pattern)
            for name, converter in pattern.pattern.converters.items():
                given = number if isinstance(converter, converters.IntConverter) else "take"
                given = str(uuid.UUID(int=0)) if isinstance(converter, converters.UUIDConverter) else given
                for shape in ("int", "str", "slug", "path", "uuid"):
                    path = path.replace(f"<{shape}:{name}>", given)
                path = path.replace(f"<{name}>", given)
            if "<" not in path:
                made.append((str(pattern.name), path))
    return sorted(set(made))


def test_no_address_of_the_desk_stumbles_over_anything(
    member: Callable[..., Membership], at_desk: Desk, talk: Talk, settings: Any
):
    """Every field of every address gets something wild, another thing at each."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    conversation = talk()
    client = at_desk(member("Ada", Role.OWNER))
    client.raise_request_exception = False
    wrong = []
    for at, (name, path) in enumerate(addresses(conversation)):
        given = {field: WILD[(at + number) % len(WILD)] for number, field in enumerate(FIELDS)}
        for method in ("post",) if HUGE in path else ("get", "post"):
            with transaction.atomic():
                answer = getattr(client, method)(path, given)
                transaction.set_rollback(True)
            if answer.status_code == 500:
                wrong.append(f"{method} {name} {path}: {answer.status_code}")
    assert not wrong


@pytest.mark.parametrize("door", ["/agent/login", "/admin/login/"])
@pytest.mark.parametrize("name", ["x" * 100_000, "a\x00b"])
def test_no_name_breaks_the_door(db: None, door: str, name: str):
    assert Client().post(door, {"username": name, "password": "y"}).status_code == 200


@pytest.mark.parametrize("before", ["http://[bad", "\x00", "http://testserver.evil.example/x", "javascript:alert(1)"])
def test_the_way_back_is_one_of_the_desks_own(bia: Membership, at_desk: Desk, before: str):
    answer = at_desk(bia).post("/agent/canned/1/delete", {"ask": "<b>?"}, headers={"Referer": before})
    assert 'href="/agent/dashboard"' in answer.content.decode()
    assert "&lt;b&gt;?" in answer.content.decode()


@pytest.mark.parametrize("field", ["text", "key"])
@pytest.mark.parametrize("place", ["reply", "note", "draft"])
def test_what_no_database_keeps_is_refused_in_words(bia: Membership, at_desk: Desk, talk: Talk, field: str, place: str):
    conversation = talk()
    answer = at_desk(bia).post(f"/agent/c/{conversation.pk}/{place}", {"text": "oi", field: "a\x00b"})
    assert answer.status_code == 400
    assert "NUL" in answer.content.decode()
    assert conversation.messages.count() == 1


@pytest.mark.parametrize("said", ["x/" + "y" * 200, "áudio/\x07", "text/plain; charset=" + "u" * 200])
def test_a_file_of_an_impossible_type_is_what_its_name_says(
    bia: Membership, at_desk: Desk, talk: Talk, said: str, settings: Any, tmp_path: Any
):
    settings.MEDIA_ROOT = tmp_path
    conversation = talk()
    file = SimpleUploadedFile("conta.pdf", b"%PDF-1.4", said)
    answer = at_desk(bia).post(f"/agent/c/{conversation.pk}/reply", {"text": "", "file": file})
    assert answer.status_code == 204
    assert Message.objects.get(direction="out").attachments.get().mime_type in ("application/pdf", "text/plain")
