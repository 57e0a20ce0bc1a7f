"""What ``prosa doctor`` says about the inboxes. Nothing is called; ``Provider.check`` tries the credentials themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prosa.channels.base import Provider, registered
from prosa.conf import settings
from prosa.contracts import Finding
from prosa.hookspecs import hookimpl

if TYPE_CHECKING:  # plug-ins are loaded before Django is
    from prosa.channels.models import Inbox


@hookimpl
def doctor_checks() -> Iterable[Finding]:
    """One line or more per active inbox."""
    from prosa.channels.models import Inbox

    providers = registered()
    inboxes = list(Inbox.objects.filter(active=True).order_by("id"))
    if not inboxes:
        return [
            Finding(
                "warning",
                "inboxes",
                "No inbox is active, so nobody can write.",
                "Add one in the admin, or run: prosa setup",
            )
        ]
    found: list[Finding] = []
    for inbox in inboxes:
        problems = list(_problems(inbox, providers.get(inbox.kind)))
        found.extend(problems or [Finding("ok", f"inbox {inbox.slug}", f"{inbox.kind} inbox “{inbox.name}” is ready.")])
    return found


def _problems(inbox: Inbox, provider: Provider | None) -> Iterator[Finding]:
    subject = f"inbox {inbox.slug}"
    if provider is None:
        yield Finding(
            "error",
            subject,
            f"No channel provider named {inbox.kind!r} is installed.",
            "Install its package or switch the inbox off.",
        )
        return
    missing = [one.label for one in provider.credentials if one.required and not inbox.credentials.get(one.name)]
    if missing:
        yield Finding("error", subject, f"Credentials are missing: {', '.join(missing)}.", "Enter them in the admin.")
    if inbox.trouble:
        since = f" since {inbox.trouble_at:%Y-%m-%d %H:%M} UTC" if inbox.trouble_at else ""
        first = inbox.trouble.partition("\n")[0]
        yield Finding(
            "error", subject, f"It cannot send{since}: {first}", "Correct the cause, then test the inbox in the admin."
        )
    public = settings().public_url
    if provider.voice_notes and provider.fetches_files and settings().speech_model and not public:
        yield Finding(
            "warning",
            subject,
            f"{provider.label} fetches voice notes from a public address, and none is set: replies go out as text.",
            "Set PROSA_PUBLIC_URL.",
        )
    if provider.webhooks and not public.startswith("https://"):
        level = "info" if settings().development else "warning"
        known = f"PROSA_PUBLIC_URL is {public}" if public else "PROSA_PUBLIC_URL is not set"
        yield Finding(
            level,
            subject,
            f"{known}; providers deliver to https:// only.",
            "Set it to the address under which providers reach this server.",
        )
