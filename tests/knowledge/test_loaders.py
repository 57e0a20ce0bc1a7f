"""Files become Markdown; files that cannot be read become an error that says the next move."""

import contextlib
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest
from pypdf import PdfReader, PdfWriter

from prosa.errors import BadInput, TooLarge
from prosa.knowledge.loaders import MOST_BYTES, html, load, office, pdf, text

FILES = Path(__file__).parent / "files"


def workbook(**sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(book):
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def archive(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return file.getvalue()


def test_a_pdf_of_a_browser_with_its_headings():
    found = load(FILES / "entrega.pdf")
    assert (found.title, found.kind) == ("Política de entrega", "pdf")
    assert found.markdown.startswith(
        "# Política de entrega\n\nEntregamos em todo o Brasil, de segunda a sábado.\n\n## Prazos\n"
    )
    assert "### Retirada na loja" in found.markdown
    assert "O frete custa R$ 19,90." in found.markdown


def test_a_pdf_without_a_title_takes_its_name():
    found = load((FILES / "horario.pdf").read_bytes(), "horário.pdf", "application/pdf")
    assert found.title == "horário"
    assert "Los sábados atendemos hasta las 13:00." in found.markdown


def test_a_word_document_with_title_list_and_table():
    found = load(FILES / "garantia.docx")
    assert (found.title, found.kind) == ("Garantia", "docx")
    assert "# Como acionar\n\n- Guarde a nota fiscal\n- Fale com o suporte" in found.markdown
    assert "| Produto | Meses |\n| --- | --- |\n| Notebook | 24 |\n| Mouse \\| sem fio | 6 |" in found.markdown


def test_a_workbook_as_people_see_it():
    book = workbook(
        Preços=[
            ["Produto", "Preço", None, "Desconto", "Desde"],
            [],
            ["Café | moído", 19.9, None, 0.1, date(2025, 3, 1)],
            ["Chá", 7, None, True],
        ],
        Vazia=[],
        Custos=[["segredo"]],
    )
    book["Custos"].sheet_state = "hidden"
    book["Preços"]["B3"].number_format = "#,##0.00"
    book["Preços"]["D3"].number_format = "0%"
    found = load(saved(book), "precos.xlsx")
    assert found.markdown.split("\n") == [
        "# Preços", "", "| Produto | Preço | Desconto | Desde |", "| --- | --- | --- | --- |",
        "| Café \\| moído | 19.90 | 10% | 2025-03-01 |", "| Chá | 7 | ✓ |  |",
    ]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_tables_of_text(separator, encoding):
    rows = separator.join(["região", "preço"]) + "\r\n" + separator.join(["São Paulo", '"até\n10 kg"']) + "\r\n"
    found = load(rows.encode(encoding), "fretes.csv", "text/csv")
    assert found.markdown == "| região | preço |\n| --- | --- |\n| São Paulo | até 10 kg |"
    assert found.title == "fretes"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_usual_encodings(encoding):
    found = load("Não há troca em promoções.\r\n¿Dónde está?".encode(encoding), "regras.txt")
    assert found.markdown == "Não há troca em promoções.\n¿Dónde está?"


@pytest.mark.parametrize(
    ("source", "title", "markdown"),
    [
        (b"---\ntitle: 'Trocas'\ntags: [a]\n---\n# Outro\n\nSete dias.", "Trocas", "# Outro\n\nSete dias."),
        (b"intro\n\n## Trocas ##\n\nSete dias.", "Trocas", "intro\n\n## Trocas ##\n\nSete dias."),
        (b"---\n\nUma regra\n\n---\n", "notas", "---\n\nUma regra\n\n---\n"),
    ],
)
def test_markdown_and_its_title(source, title, markdown):
    found = load(source, "notas.md")
    assert (found.title, found.markdown) == (title, markdown)


PAGE = """<html><head><meta charset="iso-8859-1"><title>Trocas &amp; devoluções</title>
<meta property="article:modified_time" content="2025-02-03T10:00:00Z"><style>p{color:red}</style></head><body>
<header><a href="/">Início</a></header><nav><ul><li>Menu</li></ul></nav>
<div style="display:none">escondido</div>
<h1>Trocas</h1><p>Você tem <b>sete</b> dias.<script>alert('x')</script></p><p>Sem fim<p>Sem fim dois
<table><tr><th>Peça</th><th>Prazo</th></tr><tr><td>A | B</td><td>7<br>dias</td></tr></table>
<form><input value=q></form><footer>Rua das Flores, 10</footer></body></html>"""


def test_a_page_as_a_visitor_reads_it():
    found = load(PAGE.encode("latin-1"), "trocas.html")
    assert (found.title, found.kind) == ("Trocas & devoluções", "html")
    assert found.date == datetime(2025, 2, 3, 10, tzinfo=UTC)
    assert found.markdown.startswith("# Trocas\n\nVocê tem **sete** dias.\n\nSem fim\n\nSem fim dois")
    assert "| A \\| B | 7 dias |" in " ".join(found.markdown.split(" ")).replace("  ", " ")
    assert found.markdown.endswith("Rua das Flores, 10")
    for gone in ("alert", "Menu", "Início", "escondido", "color"):
        assert gone not in found.markdown


def test_many_tags_never_closed_are_a_page():
    found = load(("<html>" + "<p>linha\n<li>item\n" * 2000).encode(), "velha.html")
    assert found.markdown.count("linha") == 2000


@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "ul><li"])
def test_a_page_nested_without_end_is_read_or_refused_but_does_not_break(tag):
    with contextlib.suppress(BadInput):
        assert load(f"<html><body>{f'<{tag}>' * 20_000}fundo".encode(), "funda.html").kind == "html"


def encrypted():
    writer = PdfWriter(clone_from=PdfReader(FILES / "horario.pdf"))
    writer.encrypt("segredo", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


WHOLE = (FILES / "entrega.pdf").read_bytes()
DOCX = (FILES / "garantia.docx").read_bytes()


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "a.pdf", "is empty"),
        (b" \n\t", "a.txt", "is empty"),
        (encrypted(), "a.pdf", "protected by a password"),
        (WHOLE[:600], "a.pdf", "is broken"),
        (b"%PDF-1.7\n" + b"garbage " * 100, "a.pdf", "is broken"),
        ((FILES / "sem_texto.pdf").read_bytes(), "a.pdf", "text recognition"),
        (WHOLE, "a.docx", "is a PDF inside"),
        (DOCX, "a.pdf", "is a Word document inside"),
        (DOCX, "a.txt", "is a Word document inside"),
        (saved(workbook(A=[["x"]])), "a.csv", "is an Excel workbook inside"),
        (b"just words", "a.pdf", "is not a PDF inside"),
        (b"just words", "a.docx", "is not a Word document inside"),
        (DOCX[:5000], "a.docx", "is broken"),
        (archive(word__document_xml="<w:document"), "a.docx", "is broken"),
        (archive(xl__workbook_xml="<x"), "a.xlsx", "is broken"),
        (archive(word__document_xml="<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"), "a.docx", "XML entities"),
        (archive(a_xml="x"), "a.zip", "is a ZIP archive"),
        (archive(a_xml="x"), "a.docx", "is a ZIP archive"),
        (saved(workbook(A=[])), "a.xlsx", "has no text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.doc", "old Office format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a.txt", "is a picture"),
        (bytes(range(256)) * 40, "a.txt", "is not text"),
        (b"anything", "a.pptx", "end in .pptx are not read"),
        (b"<html><body><script>x</script></body></html>", "a.html", "has no text"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(data, name, said):
    with pytest.raises(BadInput) as caught:
        load(data, name)
    first, _, move = str(caught.value).partition("\n")
    assert said in str(caught.value)
    assert first
    assert move.endswith(".")


def test_a_zip_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(office, "MOST_UNPACKED", 1_000_000)
    with pytest.raises(TooLarge, match="unpacks to more than"):
        load(archive(word__document_xml=b"0" * 1_000_001), "a.docx")
    with pytest.raises(TooLarge, match="unpacks"):
        load(archive(**{f"p{number}_xml": "" for number in range(office.MOST_PARTS + 1)}), "a.docx")


def test_big_files_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    huge = tmp_path / "huge.pdf"
    with huge.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(TooLarge, match="bigger than 25 MB"):
        load(huge)
    monkeypatch.setattr(pdf, "MOST_PAGES", 0)
    with pytest.raises(TooLarge, match="pages"):
        load(WHOLE, "a.pdf")
    monkeypatch.setattr(text, "MOST_CELLS", 10)
    monkeypatch.setattr(html, "MOST_ELEMENTS", 10)
    with pytest.raises(TooLarge, match="elements"):
        load(b"<html><p>a" * 20, "a.html")
    with pytest.raises(TooLarge, match="cells"):
        load(b"a,b\n" * 10, "a.csv")
    with pytest.raises(TooLarge, match="cells"):
        load(saved(workbook(A=[["a", "b"]] * 10)), "a.xlsx")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot be opened"):
        load(tmp_path / "none.txt")


def test_what_the_database_refuses_is_left_out():
    assert load("a\0b \ud83d".encode("utf-16-le", "surrogatepass"), "a.txt").markdown.startswith("ab")


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "ontem", ""])
def test_a_date_that_templates_leave_is_none(said):
    assert load(f'<meta name="date" content="{said}"><p>Sete dias.'.encode(), "a.html").date is None
