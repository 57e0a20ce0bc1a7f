"""A spoken reply on its way through the real provider to the Graph double."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import Attachment, Identity, InboxConfig, OutboundMessage
from prosa.http import Client
from prosa.simulator.fake_speech import voice_note


async def test_a_spoken_reply_arrives_as_a_voice_note(stage: Any, tmp_path: Path) -> None:
    path = tmp_path / "note.ogg"
    path.write_bytes(voice_note("Custa dez reais."))
    credentials = {"token": stage.whatsapp.token, "phone_number_id": stage.whatsapp.key}
    inbox = InboxConfig(
        1, 1, "whatsapp_cloud", "demo", stage.whatsapp.key, credentials | {"graph_url": stage.whatsapp.api_url}
    )
    mime = "audio/ogg; codecs=opus"
    message = OutboundMessage(
        "audio", "Custa dez reais.", to=(Identity("phone", "5511988887777"),), payload={"speak": True},
        attachment=Attachment("audio", mime_type=mime, voice=True), media_path=str(path), tracker="prosa:9",
    )  # fmt: skip
    async with Client(allow=[stage.url]) as client:
        sent = await WhatsAppCloud().send(client, inbox, message)
    thread = stage.world.thread_to(stage.whatsapp, "5511988887777")
    bubble = thread.bubbles[sent.provider_id]
    assert (bubble.kind, bubble.file["voice"]) == ("audio", True)
    kept = stage.world.files[bubble.file["id"]]
    assert (kept.mime_type, kept.data) == (mime, path.read_bytes())
