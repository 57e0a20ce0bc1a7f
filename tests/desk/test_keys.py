"""Everything the desk does has a key, from one table."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from django.test import Client
from django.urls import reverse

from prosa.business.people import Membership, Role
from prosa.conversations.models import Conversation, Label, State
from prosa.desk import keys, moves, queues

Talk = Callable[..., Conversation]
Desk = Callable[[Membership], Client]
HOME = Path(keys.__file__).parent

SCRIPTED = {"next", "previous", "help", "leave", "quote"}
"""Pressed by ``keys.js`` without an element of their own."""
NEEDED_BY_OTHERS = set("DEFHSVBT") | set("CINU")
"""With Alt: menus and the address bar of browsers, accents on a Mac."""


def test_every_move_has_a_key():
    assert set(moves.MOVES) - {"unblock"} <= set(keys.KEYS)
    assert {f"queue-{name}" for name in queues.QUEUES} <= set(keys.KEYS)


def test_no_key_means_two_things_and_none_is_the_browsers():
    pressed = ["+".join(way) for key in keys.KEYS.values() for way in key.spelled]
    assert len(pressed) == len(set(pressed))
    assert not NEEDED_BY_OTHERS & {key.inside for key in keys.KEYS.values()}


def test_every_key_is_borne_by_an_element():
    templates = "".join(path.read_text() for path in (HOME / "templates" / "desk").glob("*.html"))
    borne = set(re.findall(r'{% key "([a-z-]+)"', templates))
    assert borne <= set(keys.KEYS)
    missing = {name for name in keys.KEYS if not name.startswith("queue-")} - borne - SCRIPTED
    assert missing == set()


def test_the_page_shows_the_keys_where_they_work_and_on_the_sheet(
    member: Callable[..., Membership], at_desk: Desk, talk: Talk
):
    ada = member("Ada", Role.ADMIN)
    Label.objects.create(business=ada.business, name="troca")
    conversation = talk(state=State.AGENT_ACTIVE)
    page = at_desk(ada).get(reverse("desk:conversation", args=[conversation.pk])).content.decode()
    assert 'data-key="take" aria-keyshortcuts="t" title="Take (t)"' in page
    assert 'data-key="suggest" aria-keyshortcuts="s Alt+O" title="Suggest a reply (s, Alt O)"' in page
    assert 'data-key="queue-mine" aria-keyshortcuts="2"' in page
    composer = page.partition('id="composer"')[2].partition("</form>")[0]
    for name in ("suggest", "rewrite", "template", "later", "attach", "emoji", "record", "reply", "note"):
        assert f'data-key="{name}"' in composer
    sheet = page.partition('id="key-sheet"')[2].partition("</dialog>")[0]
    for key in keys.KEYS.values():
        assert f"<kbd>{key.spelled[0][-1]}</kbd>" in sheet
        assert f"<dd>{key.label}</dd>" in sheet.replace("&#x27;", "'")
