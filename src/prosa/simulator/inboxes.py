"""The inboxes of this installation, as numbers the outside world knows."""

from __future__ import annotations

from prosa.channels.models import Inbox
from prosa.conf import settings
from prosa.simulator.world import Line

KINDS = ("whatsapp_cloud", "twilio", "rest")


def base_url() -> str:
    """The address of this very server on this machine."""
    configured = settings()
    host = "127.0.0.1" if configured.host in {"", "0.0.0.0", "::"} else configured.host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{configured.port}"


async def lines() -> list[Line]:
    """Every active inbox of a kind the phone can write to, by business and name."""
    found = (
        Inbox.objects.filter(kind__in=KINDS, active=True).select_related("business").order_by("business__name", "name")
    )
    return [line_of(inbox) async for inbox in found]


def line_of(inbox: Inbox) -> Line:
    """One inbox as a line."""
    credentials: dict[str, str] = {name: str(value) for name, value in inbox.credentials.items()}
    path = f"/webhook/{inbox.kind}/{inbox.slug}/"
    base = base_url()
    key, number, account, token, secret, double = "", "", "", "", "", ""
    if inbox.kind == "whatsapp_cloud":
        key = credentials.get("phone_number_id", "")
        number = f"55119{key[-8:]:0>8}"  # Meta knows the digits; an inbox only their id
        account = credentials.get("waba_id", "")
        token, secret = credentials.get("token", ""), credentials.get("app_secret", "")
        double = "/simulator/graph"
    elif inbox.kind == "twilio":
        key = number = "".join(filter(str.isdigit, credentials.get("number", "")))
        account = credentials.get("account_sid", "")
        token = secret = credentials.get("auth_token", "")
        double = "/simulator/twilio"
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
        locale=inbox.business.locale,
    )
