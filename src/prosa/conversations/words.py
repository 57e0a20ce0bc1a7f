"""The sentences Prosa itself says to customers, in their language."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache

from django.utils import dateformat, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

LANGUAGES = ("pt-br", "es", "en")


def _offer(locale: str) -> str:
    with translation.override(locale):
        return _("Shall I call someone from our team to help you?")


@lru_cache(maxsize=16)
def words(locale: str) -> dict[str, str]:
    """All of them in one language (one of ``LANGUAGES``), by name. ``offers``: that of a person in each language, a line each."""
    offers = "\n".join(map(_offer, LANGUAGES))
    with translation.override(locale):
        return {
            "greeting": _("Hello! How can we help you?"),
            "unknown": _("I don't have that information here, and I'd rather not guess."),
            "offer_person": _("Shall I call someone from our team to help you?"),
            "offers": offers,
            # At most 20 characters: WhatsApp takes no more on a button.
            "person_button": _("Talk to a person"),
            "handed_off": _(
                "All right, I'm passing you on to someone from our team. You can keep writing here; they will see everything."
            ),
            "over_budget": _(
                "I can't answer this by myself right now, so I'm passing you on to someone from our team. You can keep writing here; they will see everything."
            ),
            "unheard": _("I could not listen to your voice note here. Could you write it to me, please?"),
            "unseen": _(
                "I received your file, but I cannot look into it here. Could you tell me in words what it is about?"
            ),
            "afresh": _("All right, we start afresh. How can we help you?"),
            "forgotten": _(
                "All right, we start afresh, and I have erased what you had told me to remember. How can we help you?"
            ),
            "confirm": _("Yes, I confirm"),
            "refuse": _("No, thank you"),
            "done": _("Done, as you confirmed."),
            "not_done": _("I could not do that, and nothing was changed."),
            "unsure": _("I can't tell yet whether that was done."),
            "confirm_again": _("To be sure I understood: please answer with a clear yes or no."),
            "refused": _("All right, nothing was changed."),
            "expired": _(
                "The time to confirm this is over, and nothing was changed. Tell me if you still want it and I will ask again."
            ),
            "code_subject": _("Your confirmation code"),
            "code_body": _(
                "Your code is {code}. Write it in the chat within {minutes} minutes. If you did not ask for it, ignore this message and tell nobody."
            ),
            "asking": _("I'm asking someone from our team, and I'll write to you here as soon as they answer."),
            "still_asking": _(
                "I asked our team and they have not answered yet. I'll write to you here as soon as they do."
            ),
            "team_answered": _("Here is our team's answer:"),
            "team_cannot": _("I asked our team, and they could not answer that."),
            "case_over": _(
                "Nobody from our team has answered my question yet, so I'm passing you on to someone there. You can keep writing here; they will see everything."
            ),
            "still_waiting": _("Your message has reached our team and a person will answer as soon as possible."),
            "assistant_back": _(
                "Our team could not answer yet, so I, the assistant, am back meanwhile. How can I help you?"
            ),
        }


def away(locale: str, now: datetime, opens: datetime | None) -> str:
    """That nobody is there, and when somebody is again: ``opens``, in the business's time; None when that is not known."""
    with translation.override(locale):
        if opens is None:
            return _("Our team is away right now.")
        day = (opens.date() - now.astimezone(opens.tzinfo).date()).days
        # Django writes names of days and months large also where a sentence would not.
        named, dated = (dateformat.format(opens, how) for how in ("l", _("F j")))
        small = locale != "en"
        said = {
            "time": dateformat.format(opens, "H:i"),
            "day": named.lower() if small else named,
            "date": dated.lower() if small else dated,
        }
        if day <= 0:
            return _("Our team is away right now and will be back today at %(time)s.") % said
        if day == 1:
            return _("Our team is away right now and will be back tomorrow at %(time)s.") % said
        if day < 7:
            return _("Our team is away right now and will be back on %(day)s at %(time)s.") % said
        return _("Our team is away right now and will be back on %(date)s at %(time)s.") % said


def in_line(locale: str, ahead: int, wait: timedelta | None) -> str:
    """How many wait before, and how long it usually takes; None when that is not known."""
    with translation.override(locale):
        told = (
            ngettext("There is %(count)d person before you.", "There are %(count)d people before you.", ahead)
            % {"count": ahead}
            if ahead
            else _("You are next in line.")
        )
        return f"{told} {_usually(wait)}" if wait is not None else told


def _usually(wait: timedelta) -> str:
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    if minutes > 90:
        hours = math.ceil(minutes / 60)
        told = ngettext("It usually takes about %(count)d hour.", "It usually takes about %(count)d hours.", hours)
        return told % {"count": hours}
    if minutes > 10:
        minutes = math.ceil(minutes / 5) * 5
    told = ngettext("It usually takes about %(count)d minute.", "It usually takes about %(count)d minutes.", minutes)
    return told % {"count": minutes}
