"""The fixed sentences: every one an agent may say is there in every language."""

from __future__ import annotations

import pytest

from prosa.agents import offline
from prosa.conversations.words import words


def test_the_agents_english_is_the_conversations():
    assert {key: words("en")[key] for key in offline.WORDS} == offline.WORDS


@pytest.mark.parametrize("locale", ["pt-br", "es"])
def test_every_sentence_is_said_in_the_customers_language(locale: str):
    english, theirs = words("en"), words(locale)
    assert theirs.keys() == english.keys()
    same = {"offers"}  # in every language at once: it is read, not said
    assert [key for key in english if theirs[key] == english[key] and key not in same] == []
