"""Codes are for programs: whoever reads why something happened reads words, in their language and the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils import timezone, translation

import prosa
from prosa.business.models import Business
from prosa.conversations import reasons, reports
from prosa.conversations.models import Conversation, Event, Message
from prosa.conversations.templatetags.prosa_admin import trouble
from prosa.conversations.thread import in_words
from prosa.desk.digests import news

SOURCE = Path(prosa.__file__).parent
HANDED_OFF = re.compile(r"Handoff\(\s*\"(\w+)\"|reason=\"(\w+)\"|\"reason\": \"(\w+)\"|summon\([^)]*?, \"(\w+)\"")


def test_every_reason_in_the_code_has_words():
    found = {
        next(filter(None, match.groups()))
        for layer in ("agents", "conversations", "desk")
        for path in (SOURCE / layer).rglob("*.py")
        if "rest" not in path.parts and path.name != "speech.py"
        for match in HANDED_OFF.finditer(path.read_text(encoding="utf-8"))
    }
    assert {"accepted", "unsure", "unworded", "turn_failed", "too_old"} <= found
    assert found <= set(reasons.REASONS)


@pytest.mark.parametrize("code", sorted(reasons.REASONS))
def test_a_mail_and_the_timeline_tell_it_in_the_same_words(code: str):
    with translation.override("en"):
        said = reasons.told(code)
        told = news(
            1, "handed_off", timezone.now(), name="Ana", inbox="Loja", team="", reason=code, said=None, notices=()
        )
        event = Event(pk=1, kind="handed_off", actor="bot", data={"reason": code})
        line = in_words(Conversation(business=Business()), [event])[1]
    assert said != code
    assert said in told.what
    assert said in line


def test_a_report_tells_it_in_words_too():
    report = reports.REPORTS["handoffs"]
    with translation.override("en"):
        shown = [reports._shown(report, row) for row in (("too_old", 3), ("procon", 1))]
    assert shown == [("too old to be answered as new", 3), ("procon", 1)]


def test_words_of_somebody_stay_as_they_are():
    assert reasons.told("quer comprar no atacado") == "quer comprar no atacado"
    assert reasons.told(None) == ""


def test_a_message_that_was_not_sent_says_why():
    with translation.override("en"):
        assert "too long ago" in reasons.explain("window_closed")
        assert "interrupted" in reasons.explain("cut_off")
        assert reasons.explain("131026", "Message undeliverable") == "Message undeliverable"
        assert reasons.explain("131026") == "131026"
        assert trouble(Message(error_code="131026", error="Message undeliverable")) == "131026 Message undeliverable"
        assert trouble(Message(error_code="cut_off", error="")) == reasons.explain("cut_off")
        assert trouble(Message(error_code="131026", error="")) == "131026"
