"""Phone identities: spellings that are one person, and those that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa import phones

digits = st.text("0123456789", max_size=16)
brazilian = st.from_regex(r"55[1-9][1-9]9[6-9][0-9]{7}", fullmatch=True)
mexican = st.from_regex(r"52[2-9][0-9]{9}", fullmatch=True)
argentine = st.from_regex(r"54[1-3][0-9]{9}", fullmatch=True)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("5511987654321", "5511987654321"),
        ("551187654321", "5511987654321"),
        ("+55 (11) 8765-4321", "5511987654321"),
        ("whatsapp:+551187654321", "5511987654321"),
        ("551133334444", "551133334444"),  # a landline has no ninth digit
        ("551123334444", "551123334444"),
        ("555187654321", "5551987654321"),
        ("5215512345678", "525512345678"),
        ("525512345678", "525512345678"),
        ("5491123456789", "541123456789"),
        ("541123456789", "541123456789"),
        ("005511987654321", "5511987654321"),
        ("12025550143", "12025550143"),
        ("+1 202-555-0143", "12025550143"),
        ("351912345678", "351912345678"),
        ("5493", "5493"),
        ("", ""),
        ("no number", ""),
        ("٥٥١١٩", ""),
    ],
)
def test_canonical(raw, expected):
    assert phones.canonical(raw) == expected


@given(raw=st.text() | digits)
def test_canonical_is_idempotent_and_digits_only(raw):
    once = phones.canonical(raw)
    assert phones.canonical(once) == once
    assert not once or (once.isascii() and once.isdigit())


@given(raw=st.text() | digits | brazilian | mexican | argentine)
def test_variants_are_one_person(raw):
    spellings = phones.variants(raw)
    assert spellings[0] == phones.canonical(raw)
    assert {phones.canonical(one) for one in spellings} == {spellings[0]}
    assert len(set(spellings)) == len(spellings)


@given(number=brazilian)
def test_the_ninth_digit_makes_no_other_person(number):
    without = number[:4] + number[5:]
    assert phones.canonical(without) == number
    assert set(phones.variants(without)) == {number, without}
    assert phones.same(number, f"+{without}")


@given(number=mexican)
def test_the_mexican_one(number):
    assert phones.canonical(f"521{number[2:]}") == number
    assert set(phones.variants(number)) == {number, f"521{number[2:]}"}


@given(number=argentine)
def test_the_argentine_nine(number):
    assert phones.canonical(f"549{number[2:]}") == number
    assert set(phones.variants(number)) == {number, f"549{number[2:]}"}


@given(one=brazilian, other=brazilian)
def test_different_lines_stay_different(one, other):
    assert phones.same(one, other) == (one == other)


def test_nobody_is_nobody():
    assert not phones.same("", "")
    assert not phones.same("abc", "")


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("(11) 98765-4321", "BR", "5511987654321"),
        ("+55 11 98765-4321", "", "5511987654321"),
        ("011 15-2345-6789", "AR", "541123456789"),
        ("55 1234 5678", "MX", "525512345678"),
        ("11 98765-4321", "", None),
        ("hello", "BR", None),
        ("123", "BR", None),
        ("+999 1", "", None),
    ],
)
def test_what_people_type(text, region, expected):
    assert phones.parse(text, region) == expected


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("5511987654321", "+55 11 98765-4321"),
        ("551187654321", "+55 11 98765-4321"),
        ("12025550143", "+1 202-555-0143"),
        ("999", "+999"),
        ("", ""),
    ],
)
def test_for_people_to_read(number, shown):
    assert phones.pretty(number) == shown


@given(text=st.text(max_size=40), region=st.sampled_from(("", "BR", "MX", "XX", "br")))
def test_typing_anything_raises_nothing(text, region):
    number = phones.parse(text, region)
    assert number is None or phones.canonical(number) == number
    phones.pretty(text)
