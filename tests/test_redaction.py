"""Secrets and personal data never reach a log, and ordinary text stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.redaction import redact, redact_data, secret_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CPF 529.982.247-25 ok", "CPF [cpf] ok"),
        ("cpf=52998224725.", "cpf=[cpf]."),
        ("CNPJ 11.222.333/0001-81", "CNPJ [cnpj]"),
        ("cnpj 11222333000181", "cnpj [cnpj]"),
        ("12.ABC.345/01DE-35 novo", "[cnpj] novo"),
        ("card 4111 1111 1111 1111!", "card [card]!"),
        ("card 4111-1111-1111-1111", "card [card]"),
        ("maria.silva+x@exemplo.com.br escreveu", "[email] escreveu"),
        ("fone +55 11 91234-5678", "fone [phone]"),
        ("fone (11) 91234-5678", "fone [phone]"),
        ("to 5511912345678 sent", "to [phone] sent"),
        ("11912345678", "[phone]"),
        ("Authorization: Bearer abcdef.123456-xyz", "Authorization: [secret]"),
        ("sent Bearer abcdef.123456-xyz", "sent Bearer [secret]"),
        ('{"access_token": "EAAB", "x": 1}', '{"access_token": "[secret]", "x": 1}'),
        ("https://graph/v1?access_token=EAABsbCS1&x=1", "https://graph/v1?access_token=[secret]&x=1"),
        ("WHATSAPP_APP_SECRET=0123456789abcdef", "WHATSAPP_APP_SECRET=[secret]"),
        ("X-Api-Key: k-123", "X-Api-Key: [secret]"),
        ("postgresql://prosa:hunter2@db:5432/prosa", "postgresql://prosa:[secret]@db:5432/prosa"),
        ("key sk-proj-abcdefghijklmnopqrstuv used", "key [secret] used"),
        ("prosa_abcdefghijklmnopqrstuvwxyz0123456789", "[secret]"),
    ],
)
def test_hidden(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21 02:07:45 turn 1234567 took 305 ms",
        "2026-11-21T02:07:45.123456+00:00",
        "conversation 4815162342 has 12 messages",
        "GET /webhook/whatsapp_cloud/loja/ 200 in 0.004",
        "peer 192.168.100.100:54321",
        "inbox 7, 1.234.567 tokens, R$ 1.299,90",
        "uuid 3f2b8c1a-9d4e-4f6a-8b7c-1234567890ab",
        "the token is missing",
    ],
)
def test_left_alone(text):
    assert redact(text) == text


def test_data_is_redacted_in_depth():
    data = {
        "token": "abc",
        "user": {"mail": "a@b.co", "password": "x", "n": 3},
        "list": ["529.982.247-25", ("+5511912345678",)],
        "secret": "",
    }
    assert redact_data(data) == {
        "token": "[secret]",
        "user": {"mail": "[email]", "password": "[secret]", "n": 3},
        "list": ["[cpf]", ["[phone]"]],
        "secret": "",
    }


@pytest.mark.parametrize(
    "name", ["token", "access_token", "X-API-Key", "api_key", "TWILIO_AUTH_TOKEN", "Authorization", "senha"]
)
def test_secret_names(name):
    assert secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "input_tokens", "key", "name", "inbox"])
def test_open_names(name):
    assert not secret_name(name)


def cpf(nine: str) -> str:
    digits = nine
    for length in (9, 10):
        digits += str(sum(int(digit) * (length + 1 - place) for place, digit in enumerate(digits)) * 10 % 11 % 10)
    return digits


@given(st.text(alphabet="0123456789", min_size=9, max_size=9).filter(lambda nine: len(set(nine)) > 1), st.booleans())
def test_every_cpf_is_hidden(nine, marks):
    digits = cpf(nine)
    written = f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}" if marks else digits
    assert digits not in redact(f"cliente {written} pediu")
    assert "[cpf]" in redact(f"cliente {written} pediu")


@given(st.emails())
def test_plain_emails_are_hidden(address):
    local = address.rpartition("@")[0]
    if local.replace(".", "").isalnum() and local.isascii():
        assert address not in redact(f"de {address} para")


@given(st.text(alphabet="abcXYZ0189", min_size=8, max_size=80))
def test_values_of_secret_names_are_hidden(value):
    assert redact(f"api_key={value} x=1") == "api_key=[secret] x=1"


@given(st.text())
def test_any_text_is_survived_and_twice_is_once(text):
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "piece", ["a", "1", "1 ", "a.", "a@", "token", "eyJ", "-", "://a:", "((", "a_", "11.", "bearer "]
)
def test_long_hostile_text_is_quick(piece):
    # A pattern that backtracks would take hours here; the test's own time limit catches it.
    assert isinstance(redact(piece * 100_000), str)
