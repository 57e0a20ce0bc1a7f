"""Signed WhatsApp webhooks for the load generator, and the load generator (``wrk``, Debian package of that name)."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from _installation import APP_SECRET, NUMBER_ID

CONTACTS = 5000
SCRIPT = Path(__file__).with_name("wrk.lua")


def body(number: int, *, contacts: int = CONTACTS, text: str = "") -> bytes:
    """The webhook of message ``number``, as Meta sends it; contacts take turns."""
    who = number % contacts
    phone = f"5511{900000000 + who}"
    message = {
        "from": phone,
        "from_user_id": f"BR.{1000000000000000 + who}",
        "id": f"wamid.BENCH{number:012d}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text or f"Olá, quanto custa a entrega do pedido {number} para o meu bairro?"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": f"Cliente {who}"}, "wa_id": phone, "user_id": message["from_user_id"]}],
        "messages": [message],
    }
    return json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "102200000000001", "changes": [{"value": value, "field": "messages"}]}],
        }
    ).encode()


def signature(content: bytes) -> str:
    """``X-Hub-Signature-256``."""
    return "sha256=" + hmac.new(APP_SECRET.encode(), content, hashlib.sha256).hexdigest()


def write(path: Path, first: int, count: int) -> None:
    """A file for ``wrk.lua``: one message a line, signature and body parted by a tab."""
    with path.open("wb") as file:
        for number in range(first, first + count):
            content = body(number)
            file.write(signature(content).encode() + b"\t" + content + b"\n")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def press(url: str, bodies: Path, *, connections: int, seconds: float, repeat: bool = False) -> Load:
    """Post the file's bodies, each once (or with ``repeat`` from the start again), over keep-alive connections.

    :raises SystemExit: wrk is missing, something was not answered 2xx, or the file was too short.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("The load generator is missing. Install it: apt-get install wrk")
    command = [
        program,
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--timeout",
        "20s",
        "-s",
        str(SCRIPT),
        url,
        "--",
        str(bodies),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"wrk failed on {url}:\n{done.stdout}{done.stderr}")
    requests, microseconds, errors, p50, p99, known = (
        float(part) for part in done.stdout.rsplit("RESULT ", 1)[1].split()
    )
    if errors:
        raise SystemExit(f"{errors:.0f} of {requests:.0f} requests to {url} failed:\n{done.stdout}")
    if requests > known and not repeat:
        raise SystemExit(f"{requests:.0f} requests but only {known:.0f} different messages; raise --bodies.")
    return Load(int(requests), microseconds / 1e6, int(errors), p50 / 1000, p99 / 1000)
