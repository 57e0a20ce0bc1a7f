"""The double's message templates, as ``GET /{waba_id}/message_templates`` lists them and ``POST /messages`` fills them in.

Shapes: Meta's "Template management" and "Template components" reference (v25.0).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from prosa.contracts import Json

PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
DEFAULT_LIMIT: Final = 25

TEMPLATES: Final[list[Json]] = [
    {
        "name": "retomar_conversa", "parameter_format": "POSITIONAL", "language": "pt_BR", "status": "APPROVED",
        "category": "UTILITY", "id": "594425479261596",
        "components": [
            {"type": "BODY", "text": "Olá {{1}}, aqui é da {{2}}. Podemos continuar a nossa conversa sobre {{3}}?",
             "example": {"body_text": [["Ana", "Loja", "o seu pedido"]]}},
            {"type": "FOOTER", "text": "Responda SAIR para não receber mais mensagens."},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sim, continuar"}, {"type": "QUICK_REPLY", "text": "Agora não"}]},
        ],
    },
    {
        "name": "pedido_enviado", "parameter_format": "NAMED", "language": "pt_BR", "status": "APPROVED",
        "category": "UTILITY", "id": "594425479261597",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Pedido {{pedido}}", "example": {"header_text_named_params": [{"param_name": "pedido", "example": "1042"}]}},
            {"type": "BODY", "text": "{{nome}}, o seu pedido saiu para entrega e chega até {{dia}}.",
             "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}, {"param_name": "dia", "example": "sexta-feira"}]}},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Acompanhar", "url": "https://loja.example/p/{{1}}", "example": ["https://loja.example/p/1042"]}]},
        ],
    },
    {
        "name": "hello_world", "parameter_format": "POSITIONAL", "language": "en_US", "status": "APPROVED",
        "category": "UTILITY", "id": "594425479261598",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a WhatsApp message."},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ],
    },
    {
        "name": "cupom_de_volta", "parameter_format": "POSITIONAL", "language": "pt_BR", "status": "REJECTED",
        "category": "MARKETING", "id": "594425479261599",
        "components": [{"type": "BODY", "text": "Volte e ganhe {{1}}{{2}}", "example": {"body_text": [["10", "%"]]}}],
    },
]  # fmt: skip
"""What the double's account has: approved ones with numbered and named places, and one that was refused."""


def listed(query: Mapping[str, str], address: str) -> Json:
    """One page: ``data`` and ``paging``, with ``next`` only while there is more."""
    found = [each for each in TEMPLATES if query.get("status") in (None, "", each["status"])]
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else DEFAULT_LIMIT
    try:
        begin = int(base64.b64decode(query.get("after", "") or "MA==").decode())
    except ValueError:
        begin = 0
    end = min(begin + limit, len(found))
    paging: Json = {"cursors": {"before": _cursor(begin), "after": _cursor(end)}}
    if end < len(found):
        paging["next"] = f"{address}?{urlencode({**query, 'after': _cursor(end)})}"
    fields = query.get("fields", "").split(",") if query.get("fields") else None
    data = [
        {name: value for name, value in each.items() if fields is None or name in fields or name == "id"}
        for each in found[begin:end]
    ]
    return {"data": data, "paging": paging}


def _cursor(place: int) -> str:
    return base64.b64encode(str(place).encode()).decode()


def known(name: str, language: str) -> Json | None:
    """The approved template of this name and language."""
    for each in TEMPLATES:
        if (each["name"], each["language"], each["status"]) == (name, language, "APPROVED"):
            return each
    return None


def refused(template: Json, components: list[Json]) -> str:
    """Why Meta would refuse these components with 132000: as many values must come as there are places. Empty: it takes them."""
    given: dict[str, list[Any]] = {
        str(each.get("type", "")).lower(): each.get("parameters") or [] for each in components
    }
    for component in template["components"]:
        part = component["type"].lower()
        wanted = len(set(PLACE.findall(component.get("text", ""))))
        if part in ("header", "body") and len(given.get(part, [])) != wanted:
            return f"{part}: number of localizable_params ({len(given.get(part, []))}) does not match the expected number of params ({wanted})"
    return ""


def shown(template: Json, components: list[Json]) -> str:
    """The text as a phone shows it."""
    given = {str(each.get("type", "")).lower(): each.get("parameters") or [] for each in components}
    return "\n".join(
        _filled(part["text"], given.get(part["type"].lower(), [])) for part in template["components"] if "text" in part
    )


def _filled(text: str, values: list[Json]) -> str:
    named = {
        str(each.get("parameter_name") or place): str(each.get("text", "")) for place, each in enumerate(values, 1)
    }

    def value(place: re.Match[str]) -> str:
        return named.get(place[1], place[0])

    return PLACE.sub(value, text)
