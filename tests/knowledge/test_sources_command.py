"""``prosa knowledge add``, ``sync``, ``sources`` and ``ask``: from a file to an answer with its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.cli import app, sources
from prosa.errors import ConfigurationError
from prosa.knowledge import checks
from prosa.knowledge.models import ApprovedAnswer, Document, Source

pytestmark = pytest.mark.django_db(transaction=True)

FILES = Path(__file__).parent / "files"


@pytest.fixture(autouse=True)
def business(monkeypatch: pytest.MonkeyPatch) -> Business:
    dsn = make_conninfo(postgres.dsn(conf.settings()), dbname=django_connection.settings_dict["NAME"])
    monkeypatch.setattr(postgres, "dsn", lambda _settings: dsn)
    with django_connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    return Business.objects.create(name="Shop", slug="shop")


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["knowledge", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_a_pdf_is_added_asked_about_with_slips_and_its_source_is_named():
    assert run("add", FILES / "entrega.pdf") == "entrega.pdf: 1 added, 0 changed, 0 unchanged, 0 forgotten, 0 failed.\n"
    assert run("add", FILES / "entrega.pdf") == "entrega.pdf: 0 added, 0 changed, 1 unchanged, 0 forgotten, 0 failed.\n"
    answered = run("ask", "qual o praso de entrga?")
    assert "from Política de entrega" in answered
    told = json.loads(run("ask", "--json", "qual o praso de entrga?"))
    assert told["model"] == "offline"
    assert told["sources"][0].startswith("Política de entrega")
    assert told["answer"]


def test_a_file_added_again_takes_the_old_ones_place(tmp_path: Path):
    page = tmp_path / "frete.md"
    page.write_text("# Frete\n\nO frete custa R$ 10.")
    run("add", page)
    before = Source.objects.get().file
    page.write_text("# Frete\n\nO frete custa R$ 12.")
    assert "0 added, 1 changed" in run("add", page)
    assert Source.objects.get().file.name != before.name
    assert not before.storage.exists(before.name)


def test_a_file_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "frete.md").write_text("# Frete\n\nO frete custa R$ 10.")
    assert "1 added" in run("add", "~/frete.md")


def test_two_of_one_name_are_refused_and_nothing_is_added(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "frete.md").write_text("# Frete\n\nO frete custa R$ 10.")
    with pytest.raises(ConfigurationError, match=r"'frete\.md'"):
        run("add", tmp_path / "a" / "frete.md", tmp_path / "b" / "frete.md")
    assert not Source.objects.exists()


def test_adding_again_takes_nothing_from_a_worker_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "frete.md"
    page.write_text("# Frete\n\nO frete custa R$ 10.")
    run("add", page)
    looked_at = sources._looked_at

    def meanwhile(*given: object) -> Source:
        found = looked_at(*given)
        Source.objects.update(done=5, run=9)
        return found

    monkeypatch.setattr(sources, "_looked_at", meanwhile)
    monkeypatch.setattr(sources, "_synchronise", lambda _known: True)
    run("add", page, "--every", 60)
    found = Source.objects.get()
    assert (found.every_minutes, found.done, found.run) == (60, 5, 9)


def test_a_folder_is_added_listed_and_synchronised(tmp_path: Path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nA loja abre cedo.")
    (folder / "b.pdf").write_bytes((FILES / "sem_texto.pdf").read_bytes())
    said = run("add", folder, "--every", 60)
    assert "shop: 1 added, 0 changed, 0 unchanged, 0 forgotten, 1 failed." in said
    assert "b.pdf: b.pdf has no text" in said
    (folder / "c.md").write_text("# C\n\nA loja fecha tarde.")
    (folder / "a.md").unlink()
    assert "1 added, 0 changed, 0 unchanged, 1 forgotten, 1 failed" in run("sync", "shop")
    assert [each.title for each in Document.objects.all()] == ["C"]
    listed = json.loads(run("sources", "--json"))
    assert [(each["name"], each["kind"], each["every_minutes"], each["failed"]) for each in listed] == [
        ("shop", "folder", 60, 1)
    ]
    assert "60 min" in run("sources")
    assert "Nothing is being read." in run("sync", "--stop")
    Source.objects.update(status="running")
    assert "shop: stops; what was read so far stays." in run("sync", "--stop", "shop")
    assert "stopped" in run("sources")


def test_approved_answers_become_documents(business: Business):
    ApprovedAnswer.objects.create(business=business, question="Quanto custa o frete?", answer="O frete custa R$ 10.")
    assert "1 added" in run("add", "--answers")


def test_what_fails_is_exit_code_one_and_a_finding(tmp_path: Path):
    folder = tmp_path / "shop"
    folder.mkdir()
    run("add", folder)
    assert [each.level for each in checks.sources()] == ["ok"]
    folder.rmdir()
    assert "is no folder" in run("sync", code=1)
    (finding,) = checks.sources()
    assert finding.level == "warning"
    assert "is no folder" in finding.text
    assert "is no folder" in run("sources")


def test_addresses_inside_the_house_are_refused():
    assert "prosa:" in run("add", "http://127.0.0.1:9/sitemap.xml", code=1)
    assert Source.objects.get().kind == "sitemap"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "nowhere.pdf"], "no file, folder or http address"),
        (["add", "ftp://example.com/a.pdf"], "no file, folder or http address"),
        (["add", __file__], "of a kind that is not read"),
        (["add", str(FILES), str(FILES / "entrega.pdf"), "--name", "x"], "One name for several"),
        (["sync"], "no sources yet"),
        (["ask", " "], "no question"),
        (["add", str(FILES), "--business", "other"], "no business"),
    ],
)
def test_mistakes_are_told_and_nothing_is_added(arguments: list[str], said: str):
    with pytest.raises(ConfigurationError, match=said):
        run(*arguments)
    assert not Source.objects.exists()


def test_names_are_unique_and_unknown_ones_are_told(tmp_path: Path):
    run("add", FILES / "entrega.pdf")
    with pytest.raises(ConfigurationError, match="no source 'x'"):
        run("sync", "x")
    with pytest.raises(ConfigurationError, match="another source named"):
        run("add", FILES / "horario.pdf", "--name", "entrega.pdf")
