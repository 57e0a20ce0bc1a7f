"""Twilio's REST API: calls for one inbox, and what their errors ask of us.

Source: Twilio's "Error and warning dictionary". No call has an idempotency key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prosa.channels.wire import mappings, string
from prosa.contracts import InboxConfig, Json
from prosa.errors import (
    ChannelBroken,
    PermanentError,
    ProsaError,
    SlowDown,
    TemporaryError,
    UnknownOutcome,
    WindowClosed,
)
from prosa.http import Client, Response

API_URL = "https://api.twilio.com"
MESSAGING_URL = "https://messaging.twilio.com"
PAGES = 10

Action = Literal["broken", "slow", "unknown", "window", "refused"]

ACTIONS: Mapping[int, Action] = {
    63016: "window",
    # our pace, or the account's
    **dict.fromkeys((14107, 20429, 63018), "slow"),
    # credentials, account, sender
    **dict.fromkeys((20003, 20005, 20008, 20404, 21606, 21660, 63007, 63051), "broken"),
    # the channel broke down after taking it
    63012: "unknown",
    # recipient or content
    **dict.fromkeys((21211, 21610, 21614, 21617, 63003, 63005, 63013, 63019, 63021, 63024, 63032, 63049), "refused"),
}
"""What each error code asks of us; codes that are not here follow the HTTP status."""


@dataclass(frozen=True, slots=True)
class Api:
    """Calls for one inbox. ``GET`` never ends as :class:`UnknownOutcome`."""

    client: Client
    inbox: InboxConfig

    @property
    def base(self) -> str:
        """Address of the API, without a slash at the end."""
        return self._given_base or API_URL

    @property
    def messaging(self) -> str:
        """Address of the newer messaging API."""
        return self._given_base or MESSAGING_URL

    @property
    def auth(self) -> tuple[str, str]:
        """Account and token.

        :raises ChannelBroken: one is missing.
        """
        account, token = self.inbox.credentials.get("account_sid", ""), self.inbox.credentials.get("auth_token", "")
        if not account or not token:
            raise ChannelBroken("The inbox has no account SID or auth token.\nEnter them in the inbox's credentials.")
        return account, token

    @property
    def account(self) -> str:
        """Address of the account, below which its messages are."""
        return f"{self.base}/2010-04-01/Accounts/{self.auth[0]}"

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> Json:
        """Read.

        :raises ProsaError: as :func:`failure` says.
        """
        response = await self.client.request("GET", url, params=params, auth=self.auth)
        if response.ok:
            return response.json()
        raise failure(response, reading=True)

    async def post(self, url: str, form: Mapping[str, str]) -> Json:
        """Write once.

        :raises ProsaError: as :func:`failure` says.
        """
        response = await self.client.request("POST", url, data=form, auth=self.auth)
        if response.ok:
            return response.json()
        raise failure(response)

    async def messages(self, query: Mapping[str, str], pages: int = PAGES) -> list[Json]:
        """Rows of the Messages resource, newest first, at most ``pages`` × 200."""
        rows: list[Json] = []
        answer = await self.get(f"{self.account}/Messages.json", {**query, "PageSize": "200"})
        for page in range(pages):
            rows.extend(mappings(answer.get("messages")))
            following = string(answer.get("next_page_uri"))
            if not following or page + 1 == pages:
                break
            answer = await self.get(f"{self.base}{following}")
        return rows

    async def files(self, message_sid: str) -> dict[str, str]:
        """The files of a message, as the fields its webhook would have had."""
        answer = await self.get(f"{self.account}/Messages/{message_sid}/Media.json")
        fields = {}
        for index, file in enumerate(mappings(answer.get("media_list"))):
            fields[f"MediaUrl{index}"] = self.base + string(file.get("uri")).removesuffix(".json")
            fields[f"MediaContentType{index}"] = string(file.get("content_type"))
        return fields

    @property
    def _given_base(self) -> str:
        url = self.inbox.credentials.get("api_url", "")
        if not url:
            from prosa.conf import settings  # pydantic takes its time; parsing does not need it

            url = settings().twilio_api_url
        return url.rstrip("/")


def failure(response: Response, *, reading: bool = False) -> ProsaError:
    """The error an answer stands for."""
    answer = response.json()
    code = answer.get("code")
    action = ACTIONS.get(code) if isinstance(code, int) else None
    if action is None:
        status = response.status
        action = (
            "slow" if status == 429 else "broken" if status in (401, 403) else "unknown" if status >= 500 else "refused"
        )
    shown = string(code)
    what = (
        f"Twilio refused with {shown}: {string(answer.get('message'))}"
        if shown
        else f"Twilio answered {response.status}."
    )
    after = response.headers.get("retry-after", "")
    match action:
        case "broken":
            return ChannelBroken(f"{what}\nCheck the inbox's credentials and the account at Twilio.", code=shown)
        case "slow":
            return SlowDown(
                f"{what}\nIt will be sent later.", code=shown, retry_after=float(after) if after.isdigit() else None
            )
        case "window":
            return WindowClosed(f"{what}\nSend a template, or wait for the customer to write.", code=shown)
        case "unknown" if reading:
            return TemporaryError(f"{what}\nIt will be tried again.", code=shown)
        case "unknown":
            return UnknownOutcome(f"{what}\nLook for its result before repeating it.", code=shown)
        case _:
            return PermanentError(f"{what}\nIt will not be tried again.", code=shown)
