"""The Graph API as all of Meta's channels use it: one call, one table of errors, files in and out.

Error codes: Meta's "Cloud API error codes" (2026-09). We build on ``error.code``, never on titles or HTTP status.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prosa.channels.signatures import appsecret_proof
from prosa.channels.wire import mapping, sha256, string
from prosa.contracts import Attachment, InboxConfig, Json, Media
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

GRAPH_URL = "https://graph.facebook.com"
GRAPH_VERSION = "v25.0"

Action = Literal["broken", "slow", "pair", "again", "unknown", "window", "refused"]

ACTIONS: Mapping[int, Action] = {
    # token, permission, account, number, payment, policy: a person must act
    **dict.fromkeys((0, 3, 10, 190, *range(200, 300), 131005), "broken"),
    **dict.fromkeys((33, 368, 131031, 131042, 131045, 131048, 131057, 131064), "broken"),
    # pace
    **dict.fromkeys((4, 80007, 130429), "slow"),
    131056: "pair",
    # Meta says that it failed for now, but has been seen to send all the same: see AGAIN_S
    **dict.fromkeys((1, 2, 131000, 131016), "again"),
    131047: "window",
    # recipient, content, template: never the same way again
    **dict.fromkeys((131021, 131026, 131030, 130403, 131049, 130472, 131050, 131062, 131063), "refused"),
    **dict.fromkeys((100, 131008, 131009, 131051, 131052, 131053), "refused"),
    **dict.fromkeys((*range(132000, 132017), 132068, 132069), "refused"),
}
"""What each error code asks of us; codes that are not here follow the HTTP status."""

AGAIN_S = 10.0
"""A refusal that may not be one is repeated only after this long. Had the message gone out after all, its receipt, which
carries our tracker, has come by then and there is nothing left to repeat."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Calls for one inbox. ``reading`` calls may be repeated, so they never end as :class:`UnknownOutcome`."""

    client: Client
    inbox: InboxConfig

    @property
    def base(self) -> str:
        """Address with version, without a slash at the end."""
        given = self.inbox.credentials
        url = given.get("graph_url")
        if not url:
            from prosa.conf import settings  # pydantic takes its time; checks of credentials do not need it

            url = settings().whatsapp_graph_url or GRAPH_URL
        return f"{url.rstrip('/')}/{given.get('graph_version') or GRAPH_VERSION}"

    @property
    def token(self) -> str:
        """The bearer token.

        :raises ChannelBroken: there is none.
        """
        if token := self.inbox.credentials.get("token", ""):
            return token
        raise ChannelBroken("The inbox has no access token.\nEnter one in the inbox's credentials.")

    async def post(self, path: str, body: Json) -> Json:
        """Write once.

        :raises ProsaError: as :func:`failure` says.
        """
        return await self._call("POST", path, json=body)

    async def get(self, path: str, **params: str) -> Json:
        """Read.

        :raises ProsaError: as :func:`failure` says.
        """
        return await self._call("GET", path, params=params)

    async def upload(self, path: str, kind: str, file: str, mime_type: str = "") -> str:
        """Send a local file; returns its media id, which lives 30 days.

        :raises PermanentError: there is no such file, or Meta refuses it.
        :raises TemporaryError: it may work later; an upload that got lost shows nobody anything.
        """
        source = Path(file)
        mime_type = mime_type or mimetypes.guess_type(file)[0] or "application/octet-stream"
        if not mime_type.startswith("audio/ogg"):  # only with its codec is Ogg a voice note
            mime_type = mime_type.split(";")[0].strip()
        try:
            with source.open("rb") as opened:  # noqa: ASYNC230 -- opened only; aiohttp reads it in a thread
                answer = await self._call(
                    "POST",
                    path,
                    data={"messaging_product": "whatsapp", "type": mime_type},
                    files={"file": (source.name, opened, mime_type)},
                    timeout=120.0,
                )
        except OSError as error:
            raise PermanentError(f"The {kind} to send cannot be read: {error.strerror}.\nSend it again.") from error
        except UnknownOutcome as error:
            raise TemporaryError(str(error), code=error.code) from error
        if media_id := string(answer.get("id")):
            return media_id
        raise TemporaryError(f"Meta took the {kind} and gave it no id.\nIt will be tried again.")

    async def media(self, attachment: Attachment, **params: str) -> Media:
        """Open a customer's file. Its address lives five minutes, so it is asked for anew each time.

        :raises PermanentError: expired (7 days after the webhook), deleted, or refused.
        :raises TemporaryError: it may work later.
        """
        from prosa.conf import settings

        known = await self.get(attachment.ref, **params) if attachment.ref else {"url": attachment.url}
        url = string(known.get("url"))
        if not url:
            raise PermanentError(
                f"Meta knows no address for this {attachment.kind}.\nAsk the customer to send it again."
            )
        stream = await self.client.stream(
            url, headers={"Authorization": f"Bearer {self.token}"}, limit=settings().media_max_bytes
        )
        if stream.status != 200:
            await stream.close()
            gone = stream.status in (400, 401, 403, 404, 410)
            raise (PermanentError if gone else TemporaryError)(
                f"Meta answered {stream.status} for this {attachment.kind}.\n"
                + ("Ask the customer to send it again." if gone else "It will be tried again.")
            )
        size = string(known.get("file_size"))
        return Media(
            mime_type=string(known.get("mime_type")) or attachment.mime_type or stream.headers.get("content-type", ""),
            size=int(size) if size.isdigit() else stream.size,
            sha256=sha256(known.get("sha256")) or attachment.sha256,
            filename=attachment.filename,
            chunks=stream.chunks,
        )

    async def _call(self, method: str, path: str, *, params: Mapping[str, str] | None = None, **body: Any) -> Json:
        query = dict(params or {})
        secret = self.inbox.credentials.get("app_secret", "")
        if secret and self.inbox.settings.get("appsecret_proof"):
            query["appsecret_proof"] = appsecret_proof(secret, self.token)
        response = await self.client.request(
            method, f"{self.base}/{path}", headers={"Authorization": f"Bearer {self.token}"}, params=query, **body
        )
        answer = response.json()
        if response.ok and "error" not in answer:
            return answer
        raise failure(response, answer, reading=method == "GET")


def failure(response: Response, answer: Json, *, reading: bool = False) -> ProsaError:
    """The error an answer stands for."""
    error = mapping(answer.get("error"))
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    details = string(mapping(error.get("error_data")).get("details")) or string(error.get("message"))
    what = f"Meta refused with {code}: {details}" if code is not None else f"Meta answered {response.status}."
    shown = "" if code is None else str(code)
    action = ACTIONS.get(code) if code is not None else None
    if action is None:
        action = _by_status(response.status, transient=error.get("is_transient") is True)
    match action:
        case "broken":
            return ChannelBroken(f"{what}\nCheck the inbox's token, number and account at Meta.", code=shown)
        case "slow" | "pair":
            pair = action == "pair"
            return SlowDown(
                f"{what}\nIt will be sent later.", code=shown, retry_after=_retry_after(response), pair=pair
            )
        case "window":
            return WindowClosed(f"{what}\nSend a template, or wait for the customer to write.", code=shown)
        case "again":
            wait = _retry_after(response) or (None if reading else AGAIN_S)
            return TemporaryError(f"{what}\nIt will be tried again.", code=shown, retry_after=wait)
        case "unknown" if reading:
            return TemporaryError(f"{what}\nIt will be tried again.", code=shown, retry_after=_retry_after(response))
        case "unknown":
            return UnknownOutcome(f"{what}\nWhether it was sent will show in its receipt.", code=shown)
        case _:
            return PermanentError(f"{what}\nIt will not be tried again.", code=shown)


def _by_status(status: int, *, transient: bool) -> Action:
    if status == 429:
        return "slow"
    if transient:
        return "again"
    # 2xx without what we asked for, or a server's own trouble: it may have been done.
    return "unknown" if status >= 500 or status < 300 else "refused"


def _retry_after(response: Response) -> float | None:
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdigit() else None
