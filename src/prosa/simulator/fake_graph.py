"""A double of Meta's Graph API for WhatsApp [FACTS 1; fixtures/whatsapp_cloud/outbound].

Numbers, media, read marks and the acceptance of messages; ``graph_messages`` knows which messages Meta accepts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Final

from prosa.contracts import Json
from prosa.errors import BadInput
from prosa.simulator import graph_templates, postman
from prosa.simulator.graph_messages import DOCUMENT_BYTES, MEDIA, GraphError, read, recipient
from prosa.simulator.mischief import Plan
from prosa.simulator.wire import HANG_UP, Request, Response, json_response, multipart
from prosa.simulator.world import Bubble, File, Line, Thread, World, new_number

PREFIX: Final = "/simulator/graph"
URL_LIFE_S: Final = 300
ROUTE: Final = re.compile(rf"{PREFIX}(?:/v\d+\.\d+)?/(?P<id>[A-Za-z0-9_]+)(?:/(?P<edge>[a-z_]+))?/?")


async def handle(world: World, request: Request) -> Response:
    """Answer one request to the Graph API."""
    try:
        return await _handle(world, request)
    except GraphError as error:
        return json_response({"error": error.body}, error.status)
    except BadInput as error:
        return json_response({"error": GraphError(100, f"(#100) {error}").body}, 400)
    except (AttributeError, TypeError):
        return json_response(
            {"error": GraphError(100, "(#100) Invalid parameter: a field has the wrong type.").body}, 400
        )


async def _handle(world: World, request: Request) -> Response:
    token = request.bearer() or request.params().get("access_token", "")
    line = await world.line(kind="whatsapp_cloud", token=token) if token else None
    if line is None:
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token", status=401)
    if request.path.startswith(f"{PREFIX}/attachments/"):
        return _download(world, request)
    route = ROUTE.fullmatch(request.path)
    if route is None:
        raise GraphError(2500, "Unknown path components", status=404)
    node, edge = route["id"], route["edge"] or ""
    if node == line.account and edge == "subscribed_apps":
        return json_response(
            {"success": True}
            if request.method != "GET"
            else {"data": [{"whatsapp_business_api_data": {"name": "Prosa", "id": "1"}}]}
        )
    if node == line.account and edge == "message_templates" and request.method == "GET":
        return json_response(graph_templates.listed(request.params(), f"{request.origin}{request.path}"))
    if node in world.files and not edge:
        return _media(world, request, node)
    owner = await world.line(kind="whatsapp_cloud", token=token, key=node)
    match (request.method, edge):
        case _ if owner is None:
            raise _missing(node, request.method)
        case ("GET", ""):
            return json_response(_number(owner))
        case ("POST", "messages"):
            return await _messages(world, owner, request)
        case ("POST", "media"):
            return _upload(world, request)
        case _:
            raise GraphError(2500, "Unknown path components", status=404)


# ── messages ──


async def _messages(world: World, line: Line, request: Request) -> Response:
    body = request.json()
    if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
        raise GraphError(100, "(#100) The parameter messaging_product is required.")
    if body.get("status") == "read":
        return _mark_read(world, line, body)
    plan = world.mischief.draw_send("graph")
    await plan.wait()
    if "rate_limited" in plan:
        raise GraphError(
            130429, "(#130429) Rate limit hit", "Cloud API message throughput has been reached.", status=429
        )
    if "broken" in plan:
        raise GraphError(
            131000, "(#131000) Something went wrong", "Message failed to send due to an unknown error.", status=500
        )
    address = recipient(body)
    bubble = read(body, world.files)
    bubble.tracker = str(body.get("biz_opaque_callback_data", ""))
    if len(bubble.tracker) > 512:
        raise GraphError(100, "(#100) Param biz_opaque_callback_data must be at most 512 characters long.")
    thread = world.thread_to(line, address.removeprefix("+"))
    _show(world, thread, bubble, plan, body)
    if "drop" in plan:
        return HANG_UP
    contact = (
        {"input": address, "wa_id": address[1:]} if address.startswith("+") else {"input": address, "user_id": address}
    )
    sent: Json = {"id": bubble.id} | ({"message_status": "accepted"} if body["type"] == "template" else {})
    return json_response({"messaging_product": "whatsapp", "contacts": [contact], "messages": [sent]})


def _show(world: World, thread: Thread, bubble: Bubble, plan: Plan, body: Json) -> None:
    link = str(body.get(bubble.kind, {}).get("link", "")) if bubble.kind in {*MEDIA, "document"} else ""
    if bubble.kind == "reaction":
        target = thread.bubbles.get(bubble.reply_to)
        if target:
            target.reactions["business"] = bubble.text
            world.put(thread, target)
    else:
        bubble.muted, bubble.received = "silent" in plan, not link and "undelivered" not in plan
        world.tell("typing", thread, on=False)
        world.put(thread, bubble)
    world.spawn(
        postman.send_linked(world, thread, bubble, link, plan) if link else postman.deliver(world, thread, bubble, plan)
    )


def _mark_read(world: World, line: Line, body: Json) -> Response:
    message_id = str(body.get("message_id", ""))
    thread = world.thread_of(line, message_id)
    if thread is None:
        raise GraphError(
            131009,
            "(#131009) Parameter value is not valid",
            "message_id does not belong to a message this number received.",
        )
    world.read_up_to(thread, message_id)
    if "typing_indicator" in body:
        world.tell("typing", thread, on=True)
    return json_response({"success": True})


# ── media and numbers ──


def _upload(world: World, request: Request) -> Response:
    parts = multipart(request)
    if "messaging_product" not in parts or parts["messaging_product"].data != b"whatsapp":
        raise GraphError(100, "(#100) The parameter messaging_product is required.")
    if "file" not in parts:
        raise GraphError(100, "(#100) The parameter file is required.")
    sent = parts["file"]
    mime_type = parts["type"].data.decode("latin-1") if "type" in parts else sent.content_type
    family = next((name for name, (types, _) in MEDIA.items() if mime_type.split(";")[0] in types), "document")
    limit = MEDIA[family][1] if family in MEDIA else DOCUMENT_BYTES
    if "/" not in mime_type or not sent.data or len(sent.data) > limit:
        raise GraphError(
            131053,
            "(#131053) Media upload error",
            f"{mime_type or 'a file without a type'}, {len(sent.data)} bytes: not allowed (at most {limit}).",
        )
    file = world.keep(File(new_number(), mime_type, sent.data, sent.filename, family))
    return json_response({"id": file.id})


def _media(world: World, request: Request, media_id: str) -> Response:
    if request.method == "DELETE":
        del world.files[media_id]
        return json_response({"success": True})
    file = world.files[media_id]
    return json_response(
        {
            "messaging_product": "whatsapp",
            "url": attachment_url(file, request.origin),
            "mime_type": file.mime_type,
            "sha256": file.sha256.hex(),
            "file_size": len(file.data),
            "id": file.id,
        }
    )


def attachment_url(file: File, origin: str) -> str:
    """Where a file's bytes are for five minutes; the token must be shown there too."""
    expires = int(time.time()) + URL_LIFE_S
    return f"{origin}{PREFIX}/attachments/?mid={file.id}&ext={expires}&hash={_seal(file, expires)}"


def _download(world: World, request: Request) -> Response:
    query = request.params()
    file = world.files.get(query.get("mid", ""))
    expires = query.get("ext", "")
    genuine = (
        file is not None
        and expires.isdecimal()
        and hmac.compare_digest(_seal(file, int(expires)), query.get("hash", ""))
    )
    if file is None or not genuine or int(expires) < time.time():
        return Response(404, b"", "text/plain")
    return Response(200, file.data, file.mime_type)


def _seal(file: File, expires: int) -> str:
    return hashlib.sha256(f"{file.id}:{expires}".encode() + file.sha256).hexdigest()[:32]


def _number(line: Line) -> Json:
    return {
        "verified_name": line.name or "Prosa",
        "code_verification_status": "VERIFIED",
        "display_phone_number": f"+{line.number}",
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "id": line.key,
    }


def _missing(node: str, method: str) -> GraphError:
    text = f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due to missing permissions, or does not support this operation."
    return GraphError(100, text, subcode=33)
