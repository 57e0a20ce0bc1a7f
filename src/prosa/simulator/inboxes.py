"""The inboxes of this installation, as numbers the outside world knows."""

from __future__ import annotations

from prosa.channels.models import Inbox
from prosa.conf import settings
from prosa.simulator import fake_graph, fake_twilio
from prosa.simulator.world import Line

KINDS = ("whatsapp_cloud", "twilio", "rest")


def base_url() -> str:
    """The address of this very server on this machine."""
    configured = settings()
    host = "127.0.0.1" if configured.host in {"", "0.0.0.0", "::"} else configured.host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{configured.port}"


async def lines() -> list[Line]:
    """Every active inbox of a kind the phone can write to, by business, kind and name."""
    inboxes = [each async for each in Inbox.objects.filter(kind__in=KINDS, active=True).select_related("business")]
    return [
        line_of(each)
        for each in sorted(inboxes, key=lambda each: (each.business.name, KINDS.index(each.kind), each.name))
    ]


def line_of(inbox: Inbox) -> Line:
    """One inbox as a line."""
    credentials: dict[str, str] = {name: str(value) for name, value in inbox.credentials.items()}
    path = f"/webhook/{inbox.kind}/{inbox.slug}/"
    base = base_url()
    key, number, account, token, secret, double, provider = "", "", "", "", "", "", base
    if inbox.kind == "whatsapp_cloud":
        key = credentials.get("phone_number_id", "")
        number = f"55119{key[-8:]:0>8}"  # Meta knows the digits; an inbox only their id
        account = credentials.get("waba_id", "")
        token, secret = credentials.get("token", ""), credentials.get("app_secret", "")
        double = fake_graph.PREFIX
        provider = credentials.get("graph_url") or settings().whatsapp_graph_url
    elif inbox.kind == "twilio":
        key = number = "".join(filter(str.isdigit, credentials.get("number", "")))
        account = credentials.get("account_sid", "")
        token = secret = credentials.get("auth_token", "")
        double = fake_twilio.PREFIX
        provider = credentials.get("api_url") or settings().twilio_api_url
    return Line(
        kind=inbox.kind,
        key=key or inbox.slug,
        slug=inbox.slug,
        name=inbox.name,
        business=inbox.business.name,
        number=number,
        account=account,
        token=token,
        secret=secret,
        webhook_url=base + path if double else "",
        signed_url=(settings().public_url or base) + path if double else "",
        api_url=base + double,
        inbox_id=inbox.pk,
        real=double not in provider,
    )
