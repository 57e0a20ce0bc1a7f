"""Every recorded WhatsApp webhook, read as FACTS 1.5–1.12 say it must be."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prosa.channels.providers.whatsapp_cloud import WhatsAppCloud
from prosa.contracts import Attachment, Identity, IdentityChange
from prosa.errors import BadInput

FIXTURES = Path(__file__).parent / "fixtures/whatsapp_cloud"
whatsapp = WhatsAppCloud()

BSUID = Identity("bsuid", "US.13491208655302741918")
PHONE = Identity("phone", "12025550143", "12025550143")
PARENT = Identity("parent_bsuid", "US.ENT.11815799212886844830")
ALL = (BSUID, PHONE, PARENT)
NUMBER = "106500000000001"


def parsed(name):
    return whatsapp.parse((FIXTURES / f"{name}.json").read_bytes())


def only(name):
    """The one message of a fixture that holds nothing else."""
    found = parsed(name)
    (message,) = found.messages
    assert (found.receipts, found.takeovers, found.notices) == ((), (), ())
    assert message.routing_key == NUMBER
    return message


# fixture: kind, text, wakes, what its payload must hold
MESSAGES = {
    "text": ("text", "Body Text", True, {}),
    "text_empty_profile_name": ("text", "oi", True, {}),
    "text_forwarded": ("text", "forwarded text", True, {"forwarded": True}),
    "text_frequently_forwarded": ("text", "text forwarded many times", True, {"frequently_forwarded": True}),
    "text_group": ("text", "hello group", False, {"group_id": "Y2FwaV9ncm91cDpGSUNUSU9OQUw"}),
    "text_reply_context": ("text", "replied text", True, {}),
    "text_unicode_emoji": ("text", "Olá! Não consigo acessar 😀 — preço R$ 10,00 / ação", True, {}),
    "text_unicode_emoji.raw_as_sent": ("text", "Olá! Não consigo acessar 😀 — preço R$ 10,00 / ação", True, {}),
    "text_username_no_phone": ("text", "Does it come in another color?", True, {}),
    "text_username_with_phone": ("text", "oi, tudo bem?", True, {}),
    "text_product_inquiry": (
        "text", "Is this still available?", True,
        {"referred_product": {"catalog_id": "194836987003835", "product_retailer_id": "di9ozbzfi4"}},
    ),
    "image": ("image", "[image]", True, {"id": "65463453"}),
    "image_with_url": ("image", "[image]", True, {"id": "65463453"}),
    "video": ("video", "caption", True, {"forwarded": True}),
    "document": ("document", "caption", True, {"filename": "filename.pdf"}),
    "audio": ("audio", "[audio]", True, {"voice": False}),
    "audio_voice_note": ("audio", "[voice message]", True, {"voice": True}),
    "sticker_static": ("sticker", "[sticker]", True, {"animated": False}),
    "sticker_animated": ("sticker", "[sticker]", True, {"animated": True}),
    "location_current": ("location", "[location: 12.25089, 43.90539]", True, {"latitude": 12.25089, "longitude": 43.90539}),
    "location_named": (
        "location", "[location: Facebook HQ, 1 Hacker Way, Menlo Park, CA 94025 (37.4611978, -122.2164385)]", True, {"name": "Facebook HQ"},
    ),
    "location_request_reply": ("location", "[location: 38.8977, -77.0365]", True, {}),
    "contacts": (
        "contacts", "[contact: Chandler Bing +1 202-555-0151; Monica +1 202-555-0152; Rachel Green +1 202-555-0153]", True, {},
    ),
    "contacts_from_request_contact_info": ("contacts", "[contact: +1 202-555-0143]", True, {"origin": "contact_request"}),
    "button_template_quick_reply": ("button", "title", True, {"id": "callback_data", "title": "title"}),
    "button_template_no_context": ("button", "title", True, {"id": "callback_data"}),
    "interactive_button_reply": ("button", "title", True, {"id": "callback_data", "title": "title"}),
    "interactive_list_reply": ("list", "title", True, {"id": "callback_data"}),
    "interactive_list_reply_description": ("list", "title", True, {"id": "callback_data", "description": "description"}),
    "interactive_address_reply": ("flow", "Sheena Nelson\n1 Example Street", True, {"name": "address_message"}),
    "interactive_nfm_reply_flow": (
        "flow",
        "[form: comment_text: Comment Text; delivery_rating: 4; purchase_rating: 2; recommend_radio: 0; cs_rating: 0]",
        True,
        {"name": "flow"},
    ),
    "interactive_nfm_reply_no_flow_token": (
        "flow",
        "[form: comment_text: Comment Text; delivery_rating: 4; purchase_rating: 2; recommend_radio: 0; cs_rating: 0]",
        True,
        {"name": "flow"},
    ),
    "interactive_call_permission_reply": ("system", "[call permission: accept]", False, {}),
    "interactive_without_body_value_errors": ("unsupported", "[unsupported message: interactive]", True, {}),
    "reaction": ("reaction", "😮", False, {"emoji": "😮"}),
    "reaction_removed_empty_emoji": ("reaction", "", False, {"emoji": ""}),
    "reaction_removed_no_emoji_key": ("reaction", "", False, {"emoji": ""}),
    "order": (
        "order", "[order: 3 × HAMBURGER at 30 ILS; 2 × FRENCH_FRIES at 35 ILS; 2 × SODA at 10 ILS]", True, {"catalog_id": "354160437058781"},
    ),
    "text_referral_ctwa": ("text", "Hi, I saw your ad", True, {}),
    "text_referral_ctwa_placeholders": ("text", "BODY", True, {}),
    "system_customer_identity_changed": ("system", "User identity changed", False, {"type": "customer_identity_changed"}),
    "system_user_changed_number": ("system", "User A changed from 12025550143 to 12025550144", False, {}),
    "system_user_changed_number_bsuid": ("system", "User Sheena Nelson changed from 12025550143 to 12025550144", False, {}),
    "system_user_changed_user_id": (
        "system", "User Sheena Nelson changed from US.13491208655302741918 to US.98765432109876543210", False, {},
    ),
    "edit_text": ("edit", "I meant the *blue* one", False, {"kind": "text"}),
    "edit_image_caption": ("edit", "Updated image caption", False, {"kind": "image"}),
    "revoke": ("revoke", "", False, {}),
    "unsupported": ("unsupported", "[unsupported message: unknown]", True, {}),
    "unsupported_with_type": ("unsupported", "[unsupported message: pool]", True, {"type": "pool"}),
    "unsupported_media_too_big": ("unsupported", "[video too big to be received]", True, {"type": "video"}),
    "unknown_future_type": ("unsupported", "[unsupported message: hologram]", True, {"type": "hologram"}),
    "standby_message_UNVERIFIED": ("text", "question answered by Meta Business Agent", False, {"standby": True}),
}  # fmt: skip
STATUSES = {
    "status_sent_cbp": ("sent", "", ALL),
    "status_sent_v24_pmp": ("sent", "", (BSUID, PHONE)),
    "status_sent_biz_opaque_callback_data": ("sent", "", ALL),
    "status_delivered_cbp": ("delivered", "", ALL),
    "status_delivered_v24_pmp": ("delivered", "", (BSUID, PHONE)),
    "status_delivered_bsuid_only": ("delivered", "", (BSUID, PARENT)),
    "status_read_cbp": ("read", "", ALL),
    "status_read_v24_no_pricing": ("read", "", (BSUID, PHONE)),
    "status_read_group": ("read", "", ()),
    "status_played_cbp": ("played", "", ALL),
    "status_failed_130472": ("failed", "130472", ALL),
    "status_failed_131026_undeliverable": ("failed", "131026", (BSUID, PHONE)),
    "status_failed_131042_payment": ("failed", "131042", (BSUID, PHONE)),
    "status_failed_131047_reengagement": ("failed", "131047", (BSUID, PHONE)),
    "status_failed_131049_ecosystem": ("failed", "131049", (BSUID, PHONE)),
    "status_failed_131053_media_upload": ("failed", "131053", (BSUID, PHONE)),
}
NOTICES = {
    "account_update_partner_app_uninstalled": ("account_update", "error", "", "PARTNER_APP_UNINSTALLED"),
    "account_update_restriction": (
        "account_update", "error", "",
        "ACCOUNT_RESTRICTION: RESTRICTED_BIZ_INITIATED_MESSAGING, RESTRICTED_ADD_PHONE_NUMBER_ACTION",
    ),
    "account_update_violation": ("account_update", "error", "", "ACCOUNT_VIOLATION: ADULT"),
    "call_connect_user_initiated": ("calls", "info", "743897493242", "calls"),
    "template_quality_yellow": ("message_template_quality_update", "warning", "", "welcome_template YELLOW"),
    "template_status_approved": ("message_template_status_update", "info", "", "order_confirmation APPROVED"),
    "template_status_rejected": (
        "message_template_status_update", "warning", "",
        (
            "abandoned_cart REJECTED: Your template has parameters placed next to each other (like {{1}}{{2}}) without text"
            " or punctuation between them."
        ),
    ),
    "user_preferences_resume": ("user_preferences", "info", NUMBER, "User requested to resume marketing messages"),
    "value_errors_throughput": (
        "errors", "warning", NUMBER,
        "Message failed to send because there were too many messages sent from this phone number in a short period of time",
    ),
}  # fmt: skip
ELSEWHERE = {
    "batch_two_entries_three_changes", "messages_out_of_order", "echo_smb_edit", "echo_smb_revoke", "echo_smb_text",
}  # fmt: skip


def test_every_fixture_is_a_case():
    files = {path.name.removesuffix(".json") for path in FIXTURES.glob("*.json")}
    assert files == {*MESSAGES, *STATUSES, *NOTICES, *ELSEWHERE}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name):
    kind, text, wakes, payload = MESSAGES[name]
    message = only(name)
    assert (message.kind, message.text, message.wakes) == (kind, text, wakes)
    assert {key: message.payload.get(key) for key in payload} == payload
    original = json.loads((FIXTURES / f"{name}.json").read_bytes())["entry"][0]["changes"][0]["value"]["messages"][0]
    assert message.provider_id == original["id"]
    assert message.sent_at == datetime.fromtimestamp(int(original["timestamp"]), UTC)


@pytest.mark.parametrize("name", STATUSES)
def test_statuses(name):
    status, code, recipients = STATUSES[name]
    found = parsed(name)
    (receipt,) = found.receipts
    assert (found.messages, found.notices, found.strange) == ((), (), ())
    assert (receipt.status, receipt.error_code, receipt.recipients) == (status, code, recipients)
    assert receipt.routing_key == NUMBER
    assert receipt.provider_id.startswith("wamid.")
    assert bool(receipt.error_text) == bool(code)


@pytest.mark.parametrize("name", NOTICES)
def test_notices(name):
    field, level, route, text = NOTICES[name]
    found = parsed(name)
    (notice,) = found.notices
    assert (found.messages, found.receipts, found.strange) == ((), (), ())
    assert (notice.topic, notice.level, notice.routing_key, notice.text) == (field, level, route, text)


# ── what the tables do not tell ──


def test_senders_come_strongest_first_and_belong_by_id_not_by_place():
    assert only("text").senders == ALL
    assert only("text_username_no_phone").senders == (BSUID, PARENT)
    assert only("text_username_with_phone").senders == (BSUID, PHONE)
    body = json.loads((FIXTURES / "text.json").read_bytes())
    other = {"profile": {"name": "Somebody Else"}, "wa_id": "12025550199", "user_id": "US.1"}
    body["entry"][0]["changes"][0]["value"]["contacts"].insert(0, other)
    (message,) = whatsapp.parse(json.dumps(body).encode()).messages
    assert (message.senders, message.sender_name) == (ALL, "Test Name")
    body["entry"][0]["changes"][0]["value"]["contacts"] = [other]
    (message,) = whatsapp.parse(json.dumps(body).encode()).messages
    assert (message.senders, message.sender_name) == ((PHONE,), "")


def test_names():
    assert only("text").sender_name == "Test Name"
    assert only("text_username_with_phone").sender_name == "Sheena Nelson"
    assert only("text_empty_profile_name").sender_name == ""


def test_a_brazilian_without_ninth_digit_is_matched_with_it_and_answered_without():
    body = (FIXTURES / "text.json").read_bytes().replace(b"12025550143", b"551187654321")
    (message,) = whatsapp.parse(body).messages
    assert Identity("phone", "5511987654321", "551187654321") in message.senders


def test_answering_reacting_editing_and_taking_back_name_the_other_message():
    assert only("text_reply_context").reply_to == "wamid.RklDVElPTkFMdGV4dF9yZXBseV9jMDAyMg=="
    assert only("button_template_quick_reply").reply_to == "wamid.RklDVElPTkFMYnV0dG9uX3RlbXBsMDAzMQ=="
    assert only("button_template_no_context").reply_to == ""
    assert only("reaction").reply_to == "wamid.RklDVElPTkFMcmVhY3Rpb24wMDEx"
    assert only("edit_text").reply_to == "wamid.RklDVElPTkFMZWR0bzAwNzU="
    assert only("revoke").reply_to == "wamid.RklDVElPTkFMcmV2b2tlMDA0Nw=="
    assert only("text_forwarded").reply_to == ""


def test_files():
    (voice,) = only("audio_voice_note").attachments
    assert voice == Attachment(
        kind="audio",
        ref="1234567890987654321",
        mime_type="audio/ogg; codecs=opus",
        # base64 on the wire, hex for whoever checks it
        sha256=base64.b64decode("m04pFf2ERdaopTyFkGPA0+bX3i+YY2dYgVFwOgDLSDI=").hex(),
        voice=True,
    )
    (document,) = only("document").attachments
    assert (document.kind, document.filename, document.mime_type) == ("document", "filename.pdf", "application/pdf")
    (image,) = only("image_with_url").attachments
    assert image.url.startswith("https://lookaside.fbsbx.com/")
    assert image.sha256 == ""  # the sample's is no SHA-256
    (edited,) = only("edit_image_caption").attachments
    assert edited.ref == "1234567890"


def test_a_form_keeps_its_fields():
    assert only("interactive_nfm_reply_flow").payload["response"]["delivery_rating"] == "4"
    assert only("interactive_address_reply").payload["response"]["values"]["city"] == "Exampleville"


def test_a_shared_contact_proves_the_phone():
    assert only("contacts_from_request_contact_info").senders == (
        BSUID,
        Identity("phone", "12025550143", "12025550143"),
    )
    assert only("contacts").senders == ALL  # the people in the cards are not the sender


def test_a_referral_is_kept():
    assert only("text_referral_ctwa").payload["referral"]["ctwa_clid"] == "ARAkFICTIONALclickid"


def test_a_lost_interactive_keeps_its_error():
    assert only("interactive_without_body_value_errors").payload["errors"][0]["code"] == 131000


def test_unknown_things_are_named():
    assert parsed("unknown_future_type").strange == ("message type hologram",)
    assert parsed("unsupported").strange == ()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("system_user_changed_number", (PHONE,), (Identity("phone", "12025550144", "12025550144"),)),
        (
            "system_user_changed_number_bsuid",
            (BSUID, PHONE),
            (Identity("bsuid", "US.98765432109876543210"), Identity("phone", "12025550144", "12025550144")),
        ),
        ("system_user_changed_user_id", (BSUID,), (Identity("bsuid", "US.98765432109876543210"),)),
    ],
)
def test_a_changed_identity(name, old, new):
    found = parsed(name)
    assert found.changes == (IdentityChange(NUMBER, old, new),)
    assert found.messages[0].senders == old


def test_another_security_code_changes_nobody():
    assert parsed("system_customer_identity_changed").changes == ()


def test_the_older_name_of_a_changed_number():
    body = (FIXTURES / "system_user_changed_number.json").read_bytes()
    body = body.replace(b"user_changed_number", b"customer_changed_number").replace(b'"wa_id"', b'"new_wa_id"')
    assert len(whatsapp.parse(body).changes) == 1


def test_trackers_pricing_and_errors_of_receipts():
    assert parsed("status_sent_biz_opaque_callback_data").receipts[0].tracker == "some data"
    (receipt,) = parsed("status_sent_v24_pmp").receipts
    assert receipt.tracker == "prosa:msg:7c9e6679-7425-40de-944b-e07fc1f90ae7"
    assert receipt.pricing == {
        "billable": False,
        "pricing_model": "PMP",
        "type": "free_customer_service",
        "category": "service",
    }
    assert receipt.at == datetime.fromtimestamp(1763682139, UTC)
    assert parsed("status_read_v24_no_pricing").receipts[0].pricing == {}
    assert "24 hours" in parsed("status_failed_131047_reengagement").receipts[0].error_text


@pytest.mark.parametrize("name", ["recipient_parent_user_id", "parent_recipient_user_id", "parent_user_id"])
def test_three_names_for_one_parent(name):
    body = (
        (FIXTURES / "status_delivered_bsuid_only.json").read_bytes().replace(b"recipient_parent_user_id", name.encode())
    )
    assert PARENT in whatsapp.parse(body).receipts[0].recipients


def test_an_unknown_status_is_strange():
    body = (FIXTURES / "status_sent_cbp.json").read_bytes().replace(b'"sent"', b'"teleported"')
    found = whatsapp.parse(body)
    assert (found.receipts, found.strange) == ((), ("status teleported",))


def test_a_batch_is_read_whole_and_in_order():
    found = parsed("batch_two_entries_three_changes")
    assert [(one.text, one.routing_key) for one in found.messages] == [
        ("first", NUMBER), ("second", NUMBER), ("to another number", "106500000000002"),
    ]  # fmt: skip
    assert [(one.status, one.routing_key) for one in found.receipts] == [("delivered", NUMBER), ("read", NUMBER)]
    assert [one.text for one in parsed("messages_out_of_order").messages] == [
        "second (sent later)",
        "first (sent earlier)",
    ]


def test_the_owners_phone_took_over():
    (echo,) = parsed("echo_smb_text").takeovers
    assert (echo.kind, echo.text, echo.recipients, echo.routing_key) == ("text", "Test message", ALL, NUMBER)
    assert parsed("echo_smb_text").messages == ()
    (edit,) = parsed("echo_smb_edit").takeovers
    assert (edit.kind, edit.text, edit.recipients) == ("edit", "Text was edited", ALL)
    assert edit.payload["reply_to"] == "wamid.RklDVElPTkFMZWNob19zbWJfZWRpMDA1Mg=="
    (revoke,) = parsed("echo_smb_revoke").takeovers
    assert (revoke.kind, revoke.text) == ("revoke", "")


def test_metas_own_agent_is_no_person():
    body = (FIXTURES / "echo_smb_text.json").read_bytes().replace(b"smb_message_echoes", b"standby")
    found = whatsapp.parse(body)
    assert (found.takeovers, found.messages, found.strange) == ((), (), ("standby echo",))


def test_imported_history_starts_nothing():
    body = {
        "entry": [
            {
                "id": "1",
                "changes": [
                    {"field": "history", "value": {"history": [{"threads": [{"messages": [{"id": "wamid.1"}]}]}]}}
                ],
            }
        ]
    }
    found = whatsapp.parse(json.dumps(body).encode())
    assert found.messages == ()
    assert found.notices[0].payload == {"waba_id": "1"}


# ── bad days ──


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"entry"', b"{}", b'{"entry": {}}', b'{"entry": null}', b"\xff\xfe", b"{" * 100_000, b"[" * 100_000,
        b'{"entry": [' + b"9" * 5000 + b"}", b'{"entry": [{"changes": ' + b"[" * 600 + b"]" * 600 + b"}]}",
        b'{"entry": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_webhook(body):
    with pytest.raises(BadInput):
        whatsapp.parse(body)


@pytest.mark.parametrize(
    ("body", "strange"),
    [
        ({"entry": []}, ()),
        ({"entry": [None, 1, {}]}, ("entry without changes",) * 3),
        ({"entry": [{"changes": [7]}]}, ("change that is no object",)),
        ({"entry": [{"changes": [{}]}]}, ("field ",)),
        ({"entry": [{"changes": [{"field": "brand_new", "value": {}}]}]}, ("field brand_new",)),
        ({"entry": [{"changes": [{"field": "messages", "value": {"messages": [{"type": "text", "from": "1"}]}}]}]}, ("message without id",)),
        ({"entry": [{"changes": [{"field": "messages", "value": {"messages": [{"type": "text", "id": "1"}]}}]}]}, ("message without sender",)),
        ({"entry": [{"changes": [{"field": "messages", "value": {"statuses": [{"status": "sent"}]}}]}]}, ("status without id",)),
    ],
)  # fmt: skip
def test_what_is_one_but_strange(body, strange):
    found = whatsapp.parse(json.dumps(body).encode())
    assert found.strange == strange
    assert found.messages == ()


def test_half_an_emoji_and_nul_characters_do_no_harm():
    body = (FIXTURES / "text.json").read_bytes()
    (message,) = whatsapp.parse(body.replace(b"Body Text", rb"half \ud83d and \u0000 whole \ud83d\ude00")).messages
    assert message.text == "half \ufffd and  whole 😀"
    (message,) = whatsapp.parse(body.replace(b"Body Text", rb"nul \u0000.")).messages
    assert message.text == "nul ."


@pytest.mark.parametrize("timestamp", [b'"soon"', b"null", b"[]", b'"1e400"', b'"-5"', b"99999999999999999999"])
def test_a_time_that_is_none_is_now(timestamp):
    before = datetime.now(UTC)
    (message,) = whatsapp.parse((FIXTURES / "text.json").read_bytes().replace(b'"1697043223"', timestamp)).messages
    assert before <= message.sent_at <= datetime.now(UTC)


def test_a_batch_of_a_thousand_is_no_nesting():
    body = json.loads((FIXTURES / "text.json").read_bytes())
    value = body["entry"][0]["changes"][0]["value"]
    value["messages"] = [{**value["messages"][0], "id": f"wamid.{number}"} for number in range(1000)]
    assert len(whatsapp.parse(json.dumps(body).encode()).messages) == 1000


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (
            {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "FICTIONAL-verify-token"},
            "1158201444",
        ),
        ({"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "wrong"}, None),
        ({"hub.mode": "unsubscribe", "hub.challenge": "1", "hub.verify_token": "FICTIONAL-verify-token"}, None),
        ({"hub.mode": "subscribe", "hub.challenge": "1"}, None),
        ({}, None),
    ],
)
def test_the_handshake(query, answer):
    from prosa.contracts import InboxConfig

    inbox = InboxConfig(1, 1, "whatsapp_cloud", "shop", NUMBER, {}, verify_token="FICTIONAL-verify-token")
    assert whatsapp.handshake(inbox, query) == answer
    assert (
        whatsapp.handshake(InboxConfig(1, 1, "whatsapp_cloud", "shop", NUMBER, {}), {**query, "hub.verify_token": ""})
        is None
    )
