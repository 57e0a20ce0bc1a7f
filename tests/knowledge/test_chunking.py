"""Passages: headings, tables and sentences kept, nothing lost, always the same."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.knowledge.chunking import LONGEST_WORD, chunks, size

STORE = """# Loja

Somos de Recife.

## Entrega

### **Prazos** da [capital](https://example.com)

Dois dias úteis.

### Custos

| Região | Preço |
| --- | --- |
| Sul | 19,90 |
| Norte \\| Nordeste | 29,90 |

## Trocas

Em sete dias.
"""


def test_a_passage_knows_the_headings_above_it():
    found = chunks(STORE, title="loja")
    assert [one.section for one in found] == ["", "Entrega > Prazos da capital", "Entrega > Custos", "Trocas"]
    assert found[0].text == "# Loja\n\nSomos de Recife."
    assert found[1].text.startswith("## Entrega\n\n### **Prazos**")
    assert [one.ordinal for one in found] == [0, 1, 2, 3]
    assert chunks(STORE)[1].section == "Loja > Entrega > Prazos da capital"


def test_headings_of_the_older_form_and_signs_in_code_that_are_none():
    found = chunks("Entrega\n=======\n\n```\n# no heading\n```\n")
    assert [one.section for one in found] == ["Entrega"]


def test_a_table_is_cut_between_rows_and_says_its_header_again():
    rows = [f"| Produto {number} com um nome comprido | {number},90 |" for number in range(200)]
    found = chunks("\n".join(["# Preços", "", "| Produto | Preço |", "| --- | --- |", *rows]), target=200)
    assert len(found) > 5
    seen = []
    for one in found:
        lines = one.text.removeprefix("# Preços\n\n").split("\n")
        assert lines[:2] == ["| Produto | Preço |", "| --- | --- |"]
        seen += lines[2:]
        assert one.tokens <= 200
    assert seen == rows


def test_a_row_bigger_than_a_passage_stays_whole():
    row = f"| {'palavra ' * 400}| x |"
    assert any(row in one.text for one in chunks(f"| A | B |\n| --- | --- |\n| 1 | 2 |\n{row}\n| 3 | 4 |", target=100))


def test_a_table_that_fits_is_not_begun_at_the_foot_of_a_passage():
    table = "\n".join(["| A | B |", "| --- | --- |", *(f"| valor {n} | {n} |" for n in range(8))])
    found = chunks(f"{'Uma frase. ' * 40}\n\n{table}", target=160)
    assert found[-1].text == table


def test_two_tables_with_the_same_header_stay_two():
    table = "| A | B |\n| --- | --- |\n| 1 | 2 |"
    assert chunks(f"{table}\n\n{table}")[0].text == f"{table}\n\n{table}"


def test_only_a_long_paragraph_says_its_last_sentence_again():
    prose = " ".join(f"Esta é a frase de número {number} do texto." for number in range(60))
    found = chunks(prose, target=120, overlap=30)
    for before, after in itertools.pairwise(found):
        assert after.text.split(". ")[0].rstrip(".") in before.text
    assert all(one.tokens <= 150 for one in found)
    short = "\n\n".join(f"Parágrafo curto de número {number}." for number in range(60))
    assert sum(one.text.count("número 17.") for one in chunks(short, target=120, overlap=30)) == 1


def test_list_items_stay_whole():
    items = [f"- Item {number} da lista\n  e a sua continuação" for number in range(60)]
    found = chunks("\n".join(items), target=100)
    assert len(found) > 3
    assert all(sum(item in one.text for one in found) == 1 for item in items)


def test_a_word_without_end_is_cut():
    found = chunks("x" * (LONGEST_WORD * 3), target=320)
    assert len(found) == 3
    assert "".join(one.text for one in found) == "x" * (LONGEST_WORD * 3)


def test_definitions_of_links_are_not_lost():
    assert "[a]: https://example.com" in chunks("Veja [a].\n\n[a]: https://example.com\n\n# Fim\n\nx")[0].text


def test_blank_is_nothing():
    assert chunks(" \n\n\t\n") == []


def test_overlap_must_fit():
    with pytest.raises(ValueError, match="smaller than target"):
        chunks("a", target=10, overlap=10)


BLOCKS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "# A",
            "## B b",
            "### C",
            "Título\n---",
            "---",
            "> citação",
            "[x]: http://y",
            "```\ncode\n",
            "    indented",
            "<div>\n<p>",
        ]
    ),
    st.lists(st.sampled_from(["uma", "frase.", "Outra?", "ação", "1,90", "\n", "|"]), max_size=200).map(" ".join),
    st.lists(st.sampled_from(["- item", "  - sub item", "1. um", "\n", "  solto"]), max_size=30).map("\n".join),
    st.lists(st.sampled_from(["| a | b |", "| c d | e |", "| f |", "| g \\| h | i | j |"]), max_size=30).map(
        lambda rows: "\n".join(["| x | y |", "|---|---|", *rows])
    ),
)


@given(st.lists(BLOCKS, max_size=8).map("\n\n".join), st.integers(20, 200), st.integers(0, 19))
def test_every_word_of_the_document_is_in_the_passages_in_its_order(markdown, target, overlap):
    found = chunks(markdown, target=target, overlap=overlap)
    assert chunks(markdown, target=target, overlap=overlap) == found
    words = iter(" ".join(one.text for one in found).replace("\ufffd", "\0").split())
    assert all(word in words for word in markdown.replace("\ufffd", "\0").split())
    assert all(one.text.strip() and one.tokens == size(one.text) for one in found)
