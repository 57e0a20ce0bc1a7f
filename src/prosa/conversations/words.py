"""The sentences Prosa itself says to customers, in their language."""

from __future__ import annotations

from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext as _


@lru_cache(maxsize=16)
def words(locale: str) -> dict[str, str]:
    """All of them in one language (``pt-br``, ``es``, ``en``), by name."""
    with translation.override(locale):
        return {
            "greeting": _("Hello! How can we help you?"),
            "unknown": _("I don't have that information here, and I'd rather not guess."),
            "offer_person": _("Shall I call someone from our team to help you?"),
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
            "still_waiting": _("Your message has reached our team and a person will answer as soon as possible."),
        }
