"""A double of Twilio's Messages API for WhatsApp [FACTS 2; fixtures/twilio]. The official SDK runs against it.

One base serves what Twilio splits over hosts: ``/2010-04-01/…`` (api.twilio.com) and ``/v2/Indicators/…``
(messaging.twilio.com).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qs, urlencode

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import postman
from prosa.simulator.mischief import Plan
from prosa.simulator.twilio_webhooks import API_VERSION, EXPLANATIONS, address
from prosa.simulator.wire import HANG_UP, Request, Response, json_response
from prosa.simulator.world import Bubble, Customer, File, Line, Thread, World, new_sid

PREFIX: Final = "/simulator/twilio"
MESSAGES: Final = re.compile(
    rf"{PREFIX}/{API_VERSION}/Accounts/(?P<account>AC\w+)/Messages(?:/(?P<sid>[A-Z]{{2}}\w+))?(?P<media>/Media(?:/(?P<file>ME\w+))?)?(?P<json>\.json)?"
)
ACCOUNT: Final = re.compile(rf"{PREFIX}/{API_VERSION}/Accounts/(?P<account>AC\w+)\.json")
CONTENT: Final = re.compile(rf"{PREFIX}/content/(?P<file>ME\w+)")
RECIPIENT: Final = re.compile(r"whatsapp:(\+[1-9]\d{6,14}|[A-Z]{2}\.[A-Za-z0-9.]{1,132})")
BODY_LIMIT: Final = 1600


class TwilioError(Exception):
    """An error as Twilio reports it."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


async def handle(world: World, request: Request) -> Response:
    """Answer one request to Twilio."""
    try:
        return await _handle(world, request)
    except TwilioError as error:
        return json_response(error.body, error.status)
    except BadInput as error:
        return json_response(TwilioError(20001, str(error)).body, 400)


async def _handle(world: World, request: Request) -> Response:
    content = CONTENT.fullmatch(request.path)
    if content:  # the storage behind a media address: whoever knows the name may read, as at Twilio
        return _bytes(world, content["file"])
    user, password = request.basic()
    line = await world.line(kind="twilio", account=user, token=password) if user and password else None
    if line is None:
        raise TwilioError(20003, "Authenticate", 401)
    if request.path == f"{PREFIX}/v2/Indicators/Typing.json" and request.method == "POST":
        return _typing(world, line, request)
    route = ACCOUNT.fullmatch(request.path)
    if route and route["account"] == line.account and request.method == "GET":
        return json_response(
            {"sid": line.account, "friendly_name": line.name or "Prosa", "status": "active", "type": "Full"}
        )
    route = MESSAGES.fullmatch(request.path)
    if route is None or route["account"] != line.account:
        raise TwilioError(20404, f"The requested resource {request.path.removeprefix(PREFIX)} was not found", 404)
    match (request.method, route["sid"], route["media"], route["file"]):
        case ("POST", None, None, _):
            return await _create(world, line, request)
        case ("GET", None, None, _):
            return _list(world, line, request)
        case ("GET", str(sid), None, _) if sid in world.sent:
            return json_response(current(world, world.sent[sid]))
        case ("GET", str(sid), "/Media", None) if sid in world.sent:
            return _media_list(world, line, sid)
        case ("GET", str(_), _, str(file)) if file in world.files:
            # Twilio sends the reader on to its storage; a client must not take the password along.
            return Response(307, b"", "text/plain", (("location", f"{request.origin}{PREFIX}/content/{file}"),))
        case _:
            raise TwilioError(20404, f"The requested resource {request.path.removeprefix(PREFIX)} was not found", 404)


# ── sending ──


async def _create(world: World, line: Line, request: Request) -> Response:
    form = {
        name: values[-1]
        for name, values in parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True).items()
    }
    plan = world.mischief.draw_send("twilio")
    await plan.wait()
    if "rate_limited" in plan:
        raise TwilioError(20429, "Too Many Requests", 429)
    if "broken" in plan:
        raise TwilioError(20500, "An internal server error has occurred", 500)
    to = form.get("To", "")
    if not to:
        raise TwilioError(21604, "A 'To' phone number is required.")
    if not RECIPIENT.fullmatch(to):
        raise TwilioError(21211, f"Invalid 'To' Phone Number: {to}")
    sender = await world.line(
        kind="twilio", account=line.account, key=re.sub(r"\D", "", form.get("From", "")) or "none"
    )
    if sender is None or not form.get("From", "").startswith("whatsapp:+"):
        raise TwilioError(63007, "Twilio could not find a Channel with the specified From address")
    text, link = form.get("Body", ""), form.get("MediaUrl", "")
    if len(text) > BODY_LIMIT:
        raise TwilioError(21617, f"The concatenated message body exceeds the {BODY_LIMIT} character limit.")
    if not text.strip() and not link and not form.get("ContentSid"):
        raise TwilioError(21619, "A text message body or media urls must be specified.")
    if link and not re.fullmatch(r"https?://\S+", link):
        raise TwilioError(21620, f"Invalid media URL(s): {link}")
    thread = world.thread_to(sender, to.removeprefix("whatsapp:").removeprefix("+"))
    bubble = _bubble(form, plan)
    record = _record(
        sender, bubble, to=to, sender=form["From"], direction="outbound-api", status="queued", media=bool(link)
    )
    world.remember(bubble.id, record)
    world.tell("typing", thread, on=False)
    world.put(thread, bubble)
    world.spawn(_deliver(world, thread, bubble, link, plan))
    return HANG_UP if "drop" in plan else json_response(record, 201)


def _bubble(form: dict[str, str], plan: Plan) -> Bubble:
    link = form.get("MediaUrl", "")
    text = form.get("Body") or form.get("ContentSid", "")
    bubble = Bubble(new_sid("MM" if link else "SM"), "business", "media" if link else "text", text)
    bubble.callback, bubble.muted = form.get("StatusCallback", ""), "silent" in plan
    bubble.received = not link and "undelivered" not in plan
    return bubble


async def _deliver(world: World, thread: Thread, bubble: Bubble, link: str, plan: Plan) -> None:
    await (
        postman.send_linked(world, thread, bubble, link, plan) if link else postman.deliver(world, thread, bubble, plan)
    )


def _typing(world: World, line: Line, request: Request) -> Response:
    form = request.form()
    thread = world.thread_of(line, form.get("messageId", ""))
    if form.get("channel") != "whatsapp" or thread is None:
        raise TwilioError(20001, "channel must be whatsapp and messageId a message this account received.")
    world.read_up_to(thread, form["messageId"])
    world.tell("typing", thread, on=True)
    return json_response({"success": True})


# ── records ──


def record_inbound(world: World, line: Line, customer: Customer, bubble: Bubble) -> None:
    """A customer's message as Twilio lists it afterwards."""
    record = _record(
        line,
        bubble,
        to=f"whatsapp:+{line.number}",
        sender=address(customer),
        direction="inbound",
        status="received",
        media=bubble.file is not None,
    )
    world.remember(bubble.id, record)


def media_url(line: Line, bubble: Bubble, file: File, base: str) -> str:
    """Where Twilio says a customer's file is; needs the account's password."""
    return f"{base}/{API_VERSION}/Accounts/{line.account}/Messages/{bubble.id}/Media/{file.id}"


def current(world: World, record: Json) -> Json:
    """The record with the status its bubble has now."""
    for thread in world.threads():
        bubble = thread.bubbles.get(record["sid"])
        if bubble and record["direction"] != "inbound" and record["status"] != bubble.status:
            record["status"] = bubble.status if bubble.status != "sent" or not bubble.muted else record["status"]
            if bubble.error.isdecimal():
                record |= {"error_code": int(bubble.error), "error_message": EXPLANATIONS.get(int(bubble.error))}
    return record


def _record(line: Line, bubble: Bubble, *, to: str, sender: str, direction: str, status: str, media: bool) -> Json:
    path = f"/{API_VERSION}/Accounts/{line.account}/Messages/{bubble.id}"
    now = format_datetime(datetime.fromtimestamp(bubble.at / 1000, UTC))
    return {
        "account_sid": line.account,
        "api_version": API_VERSION,
        "body": bubble.text,
        "date_created": now,
        "date_sent": now if direction == "inbound" else None,
        "date_updated": now,
        "direction": direction,
        "error_code": None,
        "error_message": None,
        "from": sender,
        "num_media": "1" if media else "0",
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "messaging_service_sid": None,
        "sid": bubble.id,
        "status": status,
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": to,
        "uri": f"{path}.json",
    }


def _list(world: World, line: Line, request: Request) -> Response:
    query = request.params()
    try:
        size = min(max(int(query.get("PageSize", "50")), 1), 1000)
        page = max(int(query.get("Page", "0")), 0)
    except ValueError:
        raise TwilioError(20001, "PageSize and Page must be numbers.") from None
    found = [
        current(world, record)
        for record in reversed(world.sent.values())
        if record["account_sid"] == line.account and _matches(record, query)
    ]
    shown = found[page * size : (page + 1) * size]
    path = f"/{API_VERSION}/Accounts/{line.account}/Messages.json"
    filters = {name: value for name, value in query.items() if name not in {"Page", "PageSize"}}

    def address_of(number: int) -> str:
        return f"{path}?{urlencode(filters | {'PageSize': size, 'Page': number})}"

    return json_response(
        {
            "messages": shown,
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + len(shown) - 1,
            "uri": address_of(page),
            "first_page_uri": address_of(0),
            "next_page_uri": address_of(page + 1) if len(found) > (page + 1) * size else None,
            "previous_page_uri": address_of(page - 1) if page else None,
        }
    )


def _matches(record: Json, query: dict[str, str]) -> bool:
    created = parsedate_to_datetime(record["date_created"])
    day = query.get("DateSent")
    return (
        query.get("To", record["to"]) == record["to"]
        and query.get("From", record["from"]) == record["from"]
        and ("DateSent>" not in query or created >= _moment(query["DateSent>"]))
        and ("DateSent<" not in query or created <= _moment(query["DateSent<"]))
        and (day is None or timedelta() <= created - _moment(day[:10]) < timedelta(days=1))
    )


def _moment(text: str) -> datetime:
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise TwilioError(20001, f"DateSent must be a date or an ISO 8601 time, not {text[:40]!r}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _media_list(world: World, line: Line, sid: str) -> Response:
    files = [bubble.file for thread in world.threads() if (bubble := thread.bubbles.get(sid)) and bubble.file]
    base = f"/{API_VERSION}/Accounts/{line.account}/Messages/{sid}/Media"
    listed = [
        {
            "sid": file["id"],
            "account_sid": line.account,
            "parent_sid": sid,
            "content_type": file["mime_type"],
            "uri": f"{base}/{file['id']}.json",
        }
        for file in files
    ]
    return json_response(
        {
            "media_list": listed,
            "page": 0,
            "page_size": 50,
            "start": 0,
            "end": len(listed) - 1,
            "uri": f"{base}.json",
            "first_page_uri": f"{base}.json",
            "next_page_uri": None,
            "previous_page_uri": None,
        }
    )


def _bytes(world: World, file_id: str) -> Response:
    file = world.files.get(file_id)
    return Response(200, file.data, file.mime_type) if file else Response(404, b"", "text/plain")
