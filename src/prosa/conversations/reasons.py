"""Why something happened, in words for people: the codes that events and failed messages keep, in the current language."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

REASONS: Final = {
    "keyword": gettext_noop("the customer asked for a person"),
    "button": gettext_noop("the customer pressed the button for a person"),
    "accepted": gettext_noop("the customer accepted the offer of a person"),
    "assistant": gettext_noop("the assistant called a person"),
    "turn_failed": gettext_noop("the answer failed too often"),
    "budget": gettext_noop("the budget is used up"),
    "unanswered": gettext_noop("questions in a row without an answer"),
    "case_unanswered": gettext_noop("nobody answered the assistant's question"),
    "unsure": gettext_noop("it is not known whether the confirmed action was done"),
    "unworded": gettext_noop("something was done, and no answer could be worded"),
    "too_old": gettext_noop("too old to be answered as new"),
    "blocked": gettext_noop("the contact is blocked"),
    "no_person": gettext_noop("no person answered for so long"),
    "away": gettext_noop("whoever had it went away"),
    "not_taken": gettext_noop("nobody took it"),
    "time": gettext_noop("its time has come"),
    "customer": gettext_noop("the customer wrote"),
}
"""By code. Whatever else stands there is words already: a model's, a business's or a person's."""

FAILURES: Final = {
    "window_closed": gettext_noop(
        "The customer wrote too long ago for this channel, so it was not sent. Send a template, or wait until they write."
    ),
    "blocked": gettext_noop("The contact is blocked, so it was not sent."),
    "cut_off": gettext_noop("Sending was interrupted, and nobody knows yet whether it arrived."),
    "no_answer": gettext_noop("The channel did not answer in time, and nobody knows yet whether it arrived."),
    "unknown_outcome": gettext_noop("Nobody knows whether it arrived. Ask the customer before you repeat it."),
}
"""What became of a message, by the code kept with it."""


def told(reason: object) -> str:
    """A reason for people; words of somebody stay as they are."""
    text = str(reason or "")
    return _(REASONS[text]) if text in REASONS else text


def explain(code: str, said: str = "") -> str:
    """Why a message was not sent, or may not have been. What a provider ``said`` with a code of its own stays as it said it."""
    return _(FAILURES[code]) if code in FAILURES else said or code
