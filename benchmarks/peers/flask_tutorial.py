"""A WhatsApp webhook as Flask tutorials write it: a connection per request, contact, conversation and message one by one."""

import hashlib
import hmac
import os

import psycopg
from flask import Flask, request

app = Flask(__name__)


@app.post("/webhook")
def webhook():
    expected = "sha256=" + hmac.new(os.environ["PEER_SECRET"].encode(), request.data, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Hub-Signature-256", "")):
        return "Forbidden", 403
    value = request.get_json()["entry"][0]["changes"][0]["value"]
    message = value["messages"][0]
    with psycopg.connect(os.environ["PEER_DSN"]) as connection:
        contact = connection.execute("SELECT id FROM contact WHERE phone = %s", (message["from"],)).fetchone()
        if contact is None:
            contact = connection.execute(
                "INSERT INTO contact (phone, name) VALUES (%s, %s) ON CONFLICT (phone) DO UPDATE SET name = excluded.name RETURNING id",
                (message["from"], value["contacts"][0]["profile"]["name"]),
            ).fetchone()
        conversation = connection.execute(
            "SELECT id FROM conversation WHERE contact_id = %s AND status = 'open'", contact
        ).fetchone()
        if conversation is None:
            conversation = connection.execute(
                "INSERT INTO conversation (contact_id) VALUES (%s) RETURNING id", contact
            ).fetchone()
        connection.execute(
            "INSERT INTO chat_message (conversation_id, provider_id, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (conversation[0], message["id"], message["text"]["body"]),
        )
        connection.execute("UPDATE conversation SET unread = unread + 1, last_at = now() WHERE id = %s", conversation)
    return "OK"
