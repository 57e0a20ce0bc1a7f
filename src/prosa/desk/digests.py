"""What a notification says: the words of a mail, of a Slack message, and the body of a signed webhook.

By default only the contact's name and why they wait; the customer's words only where the business wants it, and personal data
in all of it is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from prosa import conf
from prosa.business.people import Membership
from prosa.conversations import reasons
from prosa.desk import webhooks
from prosa.desk.models import Person
from prosa.desk.models_notices import Outlet
from prosa.redaction import redact

MOST_LINES = 20
MOST_QUOTE = 300
MOST_NAME = 80


@dataclass(frozen=True, slots=True)
class News:
    """One conversation of a digest. ``notices`` are the ids of what is told by it."""

    conversation_id: int
    kind: str
    since: datetime
    name: str
    inbox: str
    team: str
    reason: str
    quote: str
    notices: tuple[int, ...]

    @property
    def minutes(self) -> int:
        """Whole minutes since it happened."""
        return max(0, int((timezone.now() - self.since).total_seconds() // 60))

    @property
    def url(self) -> str:
        """Where the desk shows it."""
        return address("desk:conversation", self.conversation_id)

    @property
    def what(self) -> str:
        """What happened, in the current language, without a name."""
        minutes = self.minutes
        words = {
            "unsent": _("Your message for later was not sent"),
            "asked": _("The assistant asks people something"),
            "handed_off": _("Waits for a person"),
            "assigned": _("Was given to %s") % self.team
            if self.team
            else _("Was given to somebody who has not taken it"),
            "escalated": _("Nobody took it in time"),
            "unanswered": _("Has no answer from the person who has it"),
        }
        reason = reasons.told(self.reason)
        since = _since(minutes)
        return f"{words[self.kind]} ({reason}), {since}" if reason else f"{words[self.kind]}, {since}"


def news(
    conversation_id: int,
    kind: str,
    since: datetime,
    *,
    name: str,
    inbox: str,
    team: str,
    reason: str,
    said: str | None,
    notices: tuple[int, ...],
) -> News:
    """Make one of what the database holds; personal data is hidden, white space made plain."""
    return News(
        conversation_id, kind, since, _short(name, MOST_NAME) or f"#{conversation_id}", _short(inbox, MOST_NAME), team,
        _short(reason, MOST_QUOTE), _short(said or "", MOST_QUOTE), notices,
    )  # fmt: skip


def _short(text: str, most: int) -> str:
    plain = redact(" ".join(text.split()))
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _since(minutes: int) -> str:
    if minutes < 1:
        return _("just now")
    if minutes < 120:
        return ngettext("for %d minute", "for %d minutes", minutes) % minutes
    hours = minutes // 60
    return ngettext("for %d hour", "for %d hours", hours) % hours


def address(name: str, *args: Any) -> str:
    """The public address of a page of the desk, also where a host project mounts Prosa below a path."""
    settings = conf.settings()
    root = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    mount = reverse("desk:home").removesuffix("/agent/")
    return root.removesuffix(mount) + reverse(name, args=args)


def address_of(member: Membership) -> str:
    """A member's e-mail address, also of a host project's users; empty when there is none."""
    return str(getattr(member.user, member.user.get_email_field_name(), "") or "")


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything an outlet is told at once. ``test``: nothing happened; somebody wants to see whether it arrives."""

    outlet: Outlet
    news: tuple[News, ...]
    test: bool = False

    @property
    def language(self) -> str:
        """The member's own, else the business's."""
        member = self.outlet.member
        chosen = (
            Person.objects.filter(user_id=member.user_id).values_list("language", flat=True).first() if member else ""
        )
        return chosen or self.outlet.business.locale

    @property
    def title(self) -> str:
        """One line, in the current language."""
        business = " ".join(self.outlet.business.name.split())
        if self.test:
            return _("A test from Prosa · %s") % business
        if len(self.news) == 1:
            only = self.news[0]
            return f"{only.name}: {only.what[:1].lower()}{only.what[1:]} · {business}"
        count = len(self.news)
        if all(each.kind == "unsent" for each in self.news):
            return (
                ngettext("%d message for later was not sent", "%d messages for later were not sent", count) % count
                + f" · {business}"
            )
        return ngettext("%d customer waits", "%d customers wait", count) % count + f" · {business}"

    @property
    def more(self) -> str:
        """What is said of conversations that are not listed."""
        left = len(self.news) - MOST_LINES
        return ngettext("and %d more", "and %d more", left) % left if left > 0 else ""

    def letter(self) -> EmailMultiAlternatives:
        """The mail, in the member's language, as text and as HTML. Without a recipient when the member has no address."""
        member = self.outlet.member
        to = address_of(member) if member else ""
        with translation.override(self.language):
            context = {
                "digest": self,
                "news": self.news[:MOST_LINES],
                "desk": address("desk:dashboard"),
                "settings": address("desk:notifications"),
                "language": translation.get_language(),
            }
            made = EmailMultiAlternatives(
                self.title,
                render_to_string("desk/digest.txt", context),
                to=[to] if to else [],
                headers={"Auto-Submitted": "auto-generated"},
            )
            made.attach_alternative(render_to_string("desk/digest.html", context), "text/html")
        return made

    def slack(self) -> dict[str, Any]:
        """The message for Slack, in the business's language."""
        with translation.override(self.language):
            footer = _("It works: Slack gets what Prosa sends.") if self.test else self.outlet.business.name
            return webhooks.slack(
                self.title,
                [(each.name, each.what, each.quote, each.url) for each in self.news[:MOST_LINES]],
                self.more,
                footer,
            )

    def body(self) -> dict[str, Any]:
        """The JSON of a signed webhook, version 1. Its words are for programs, and in no language."""
        business, team = self.outlet.business, self.outlet.team
        return {
            "version": 1,
            "type": "test" if self.test else "notices",
            "sent_at": timezone.now().isoformat(),
            "business": {"id": business.pk, "slug": business.slug, "name": business.name},
            "team": team.name if team else None,
            "notices": [
                {
                    "id": max(each.notices),
                    "kind": each.kind,
                    "since": each.since.isoformat(),
                    "conversation": {"id": each.conversation_id, "url": each.url, "inbox": each.inbox},
                    "contact": {"name": each.name},
                    "team": each.team or None,
                    "reason": each.reason or None,
                    "quote": each.quote or None,
                }
                for each in self.news
            ],
        }
