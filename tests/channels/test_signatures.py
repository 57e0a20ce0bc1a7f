"""Signatures against the shared vectors, and ours against the official Twilio SDK."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from prosa.channels import signatures

FOLDER = Path(__file__).parent
VECTORS = json.loads((FOLDER / "fixtures/signature_vectors.json").read_text())
FORM = "application/x-www-form-urlencoded"


def named(group):
    return [pytest.param(vector, id=vector.get("name", str(index))) for index, vector in enumerate(VECTORS[group])]


@pytest.mark.parametrize("vector", named("meta_x_hub_signature_256"))
def test_meta(vector):
    body = base64.b64decode(vector["body_b64"])
    assert signatures.meta((vector["app_secret"],), body, vector["signature"]) is vector["valid"]
    # the previous secret, while it is rotated; an empty one counts for nothing
    assert signatures.meta(("new-secret", vector["app_secret"]), body, vector["signature"]) is vector["valid"]
    assert not signatures.meta(("new-secret", ""), body, vector["signature"])


def test_the_legacy_sha1_header_counts_for_nothing():
    for vector in VECTORS["meta_x_hub_signature_sha1_legacy"]:
        assert not signatures.meta((vector["app_secret"],), base64.b64decode(vector["body_b64"]), vector["signature"])


@pytest.mark.parametrize("vector", VECTORS["meta_verification_get"])
def test_meta_handshake(vector):
    query = dict(parse_qsl(vector["query"]))
    assert signatures.meta_handshake(vector["verify_token"], query) == vector.get("expect_body")


def test_appsecret_proof():
    for vector in VECTORS["meta_appsecret_proof"]:
        assert signatures.appsecret_proof(vector["app_secret"], vector["access_token"]) == vector["appsecret_proof"]


def twilio_body(vector):
    if "body_file" in vector:
        return (FOLDER / vector["body_file"]).read_bytes()
    return vector["body"].encode() if "body" in vector else urlencode(vector["params"]).encode()


@pytest.mark.parametrize("vector", named("twilio_x_twilio_signature"))
def test_twilio(vector):
    body, kind = twilio_body(vector), vector.get("content_type", FORM)
    assert (
        signatures.twilio((vector["auth_token"],), vector["url"], body, vector["signature"], content_type=kind)
        is vector["valid"]
    )
    assert (
        signatures.twilio(("new", vector["auth_token"]), vector["url"], body, vector["signature"], content_type=kind)
        is vector["valid"]
    )
    assert not signatures.twilio(("another",), vector["url"], body, vector["signature"], content_type=kind)
    assert not signatures.twilio(("",), vector["url"], body, vector["signature"], content_type=kind)


@pytest.mark.parametrize("vector", named("twilio_x_twilio_signature"))
def test_the_official_validator_agrees(vector):
    body = twilio_body(vector).decode()
    params = body if vector.get("content_type") == "application/json" else parse_qs(body, keep_blank_values=True)
    if not isinstance(params, str):
        params = MultiDict(params)
    assert (
        RequestValidator(vector["auth_token"]).validate(vector["url"], params, vector["signature"]) is vector["valid"]
    )


class MultiDict(dict):
    def getlist(self, name):
        return self[name]


@given(
    fields=st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=12)), max_size=6),
    algorithm=st.sampled_from(("HMAC_SHA1", "HMAC_SHA256")),
    port=st.sampled_from(("", ":443", ":8443")),
)
def test_whatever_twilio_signs_we_accept(fields, algorithm, port):
    url = f"https://bot.example{port}/webhook/twilio/shop/?channel=7"
    body = urlencode(fields).encode()
    params = MultiDict(parse_qs(body.decode(), keep_blank_values=True))
    signature = RequestValidator("token").compute_signature(url, params, algorithm)
    told = f"key=webhooks_1,algorithm={algorithm}"
    assert signatures.twilio(("token",), url, body, signature, content_type=FORM, settings=told)
    assert not signatures.twilio(("token",), url, body + b"&x=y", signature, content_type=FORM, settings=told)
    other = "HMAC_SHA1" if algorithm == "HMAC_SHA256" else "HMAC_SHA256"
    assert not signatures.twilio(("token",), url, body, signature, content_type=FORM, settings=f"algorithm={other}")


def test_an_unknown_algorithm_is_refused():
    signature = RequestValidator("token").compute_signature("https://bot.example/", {})
    assert signatures.twilio(("token",), "https://bot.example/", b"", signature)
    assert not signatures.twilio(("token",), "https://bot.example/", b"", signature, settings="algorithm=HMAC_MD5")


def test_a_body_hash_covers_json_but_is_no_way_around_the_fields_of_a_form():
    url = "https://bot.example/?bodySHA256=" + "0" * 64
    signature = RequestValidator("token").compute_signature(url, {})
    assert not signatures.twilio(("token",), url, b"{}", signature, content_type="application/json")
    assert not signatures.twilio(("token",), url, b"Body=evil", signature, content_type=FORM)


@given(
    url=st.text(max_size=60), body=st.binary(max_size=60), header=st.text(max_size=40), settings=st.text(max_size=20)
)
def test_nothing_raises(url, body, header, settings):
    assert not signatures.twilio(("token",), url, body, header, settings=settings)
    assert not signatures.meta(("secret",), body, header)
    assert (
        signatures.meta_handshake("verify", {"hub.mode": "subscribe", "hub.verify_token": header}) is None
        or header == "verify"
    )


def test_an_identity_is_signed_by_its_own_secret_only():
    signed = (
        "9decd1fdf1760ed0d855df2974bd8072420116997a07cc201887edd56e4bc99c"  # openssl dgst -sha256 -hmac segredo-da-loja
    )
    assert signatures.identity("segredo-da-loja", "42", signed)
    assert not signatures.identity("segredo-da-loja", "43", signed)
    assert not signatures.identity("outro", "42", signed)
    assert not signatures.identity("", "42", signed)
