"""Slack's incoming webhooks and anybody's signed ones: what is sent there, and what their answers mean.

A signed webhook is a ``POST`` of JSON with ``X-Prosa-Timestamp`` (Unix seconds) and ``X-Prosa-Signature``: ``v1=`` and the
HMAC-SHA256, in hexadecimal digits, of timestamp, a full stop and the body under the outlet's secret. See
docs/howto/notifications.md. Slack's limits: api.slack.com/reference/block-kit (150 characters a header, 3,000 a section, 50 blocks).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _

from prosa import conf
from prosa.addresses import address_of, canonical, configured
from prosa.errors import NotAllowed, ProsaError, TemporaryError, UnknownOutcome
from prosa.http import Client, Response
from prosa.redaction import redact

TIMEOUT_S = 10.0
MOST_ANSWER = 256 * 1024
MOST_SAID = 120
"""Characters of an answer that are kept to explain a failure."""
LATER = frozenset({408, 425, 429})
"""Statuses beside 5xx after which the same message may be taken later."""


class Trouble(ProsaError):
    """An outlet was not reached. ``code`` and ``detail`` tell why (:func:`explain`); ``lasting``: another try would not help."""

    def __init__(self, code: str, detail: str = "", *, lasting: bool = False, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {detail}".strip(), code=code)
        self.detail, self.lasting, self.retry_after = detail, lasting, retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a receiver that took the message."""

    status: int
    said: str


def explain(trouble: str) -> str:
    """A :class:`Trouble`, as it was written down, in the reader's language."""
    code, _space, detail = trouble.partition(" ")
    texts = {
        "answered": _("It answered: %s") % detail,
        "unreachable": _("It could not be reached."),
        "silent": _("It took the message and did not answer in time."),
        "refused": _("Its address is private or local, or is none."),
        "mail": _("The mail server did not take it: %s") % detail,
        "no-mail": _("No mail server is set up (PROSA_EMAIL_URL)."),
        "no-address": _("This person has no e-mail address."),
        "bad-address": _("No mail can be written to this person's e-mail address. Correct it."),
    }
    return texts.get(code, trouble)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of ``X-Prosa-Signature``."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check(url: str) -> None:
    """May the people of a business name this address? Whether it is public is seen when it is called.

    :raises NotAllowed: it is no https address, or one of the installation's own.
    """
    # As it will be called: letters of other scripts name the installation's own hosts too.
    parts = urlsplit(canonical(url))
    address = address_of(parts)
    development = conf.settings().development
    if address is None or (parts.scheme != "https" and not development):
        raise NotAllowed(_("Only https:// addresses can be used.\nCopy the whole address from where it was made."))
    if parts.username or parts.password:
        raise NotAllowed(_("The address must not hold a user or a password.\nThe signature tells who sends."))
    if address in configured() and not development:
        raise NotAllowed(_("This address belongs to the installation itself.\nUse the receiver's own."))


def post(url: str, payload: dict[str, Any], secret: str = "") -> Answer:
    """Send a JSON body; signed when there is a secret. Redirects are not followed.

    :raises Trouble: it was not taken.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if secret:
        timestamp = str(int(time.time()))
        headers |= {"X-Prosa-Timestamp": timestamp, "X-Prosa-Signature": sign(secret, timestamp, body)}
    try:
        check(url)
        answer = async_to_sync(_post)(url, body, headers)
    except NotAllowed:
        raise Trouble("refused", lasting=True) from None
    except TemporaryError as error:
        raise Trouble("unreachable", retry_after=error.retry_after) from None
    except UnknownOutcome:
        # Better told twice than a customer left waiting; every notice has an id to know it again by.
        raise Trouble("silent") from None
    except ProsaError as error:
        raise Trouble("answered", str(error).split("\n", maxsplit=1)[0], lasting=True) from None
    said = redact(" ".join(answer.body[: 4 * MOST_SAID].decode("utf-8", "replace").split()))[:MOST_SAID]
    if answer.ok:
        return Answer(answer.status, said)
    later = answer.status in LATER or answer.status >= 500
    raise Trouble("answered", f"{answer.status} {said}".strip(), lasting=not later, retry_after=_rest(answer))


async def _post(url: str, body: bytes, headers: dict[str, str]) -> Response:
    async with Client() as client:
        return await client.request("POST", url, data=body, headers=headers, timeout=TIMEOUT_S, limit=MOST_ANSWER)


def _rest(answer: Response) -> float | None:
    given = answer.headers.get("retry-after", "")
    return min(float(given), 3600.0) if given.isdecimal() else None


def slack(title: str, lines: list[tuple[str, str, str, str]], more: str, footer: str) -> dict[str, Any]:
    """Slack's message. A line is (name, what happened, quote or nothing, address of the conversation)."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:150], "emoji": False}}
    ]
    for name, what, quote, url in lines:
        text = f"*<{url}|{_plain(name)}>*\n{_plain(what)}"
        if quote:
            text += f"\n>{_plain(quote)}"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}})
    if more:
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": more, "emoji": False}})
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _plain(footer)[:2000]}]})
    return {"text": _plain(title), "blocks": blocks}


def _plain(text: str) -> str:
    """Nothing a customer is called can become a mention or a link: Slack reads only these three as its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
