"""``prosa knowledge``: whole files or nothing, and results anyone can measure."""

import json

import pytest
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from prosa import conf, postgres
from prosa.business.models import Business
from prosa.cli import app
from prosa.errors import ConfigurationError
from prosa.knowledge.models import Document

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = [
    {"id": "frete", "title": "Frete", "text": "O frete é grátis acima de R$ 199.", "lang": "pt"},
    {"id": "pix", "title": "Pix", "text": "Com Pix há 5% de desconto.", "lang": "pt"},
    {"id": 3, "text": "Gift cards never expire.", "lang": "en"},
]


@pytest.fixture(autouse=True)
def installation(monkeypatch):
    Business.objects.create(name="Shop", slug="shop")
    dsn = make_conninfo(postgres.dsn(conf.settings()), dbname=django_connection.settings_dict["NAME"])
    monkeypatch.setattr(postgres, "dsn", lambda _settings: dsn)


def lines(path, rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return str(path)


def run(*arguments):
    done = CliRunner().invoke(app, ["knowledge", *arguments], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_added_once_found_and_added_again(tmp_path):
    file = lines(tmp_path / "a.jsonl", [*GOOD, "", "  "])
    assert run("add", "--jsonl", file).output == "3 added, 0 changed, 0 unchanged; 3 passages written for shop.\n"
    assert run("add", "--jsonl", file).output == "0 added, 0 changed, 3 unchanged; 0 passages written for shop.\n"
    assert set(Document.objects.values_list("external_id", "language")) == {("frete", "pt"), ("pix", "pt"), ("3", "en")}
    found = json.loads(run("search", "--json", "--limit", "1", "tem disconto no pix").output)
    assert [(each["document"], each["title"], each["language"]) for each in found] == [("pix", "Pix", "pt")]
    assert "[frete]" in run("search", "frete gratis").output
    assert run("search", "capital da Mongólia").output == "Nothing fits.\n"
    assert json.loads(run("search", "--json", "capital da Mongólia").output) == []


def test_many_questions_make_a_run(tmp_path):
    run("add", "--jsonl", lines(tmp_path / "a.jsonl", GOOD))
    asked = lines(
        tmp_path / "q.jsonl", [{"id": "q1", "text": "qto é o frete"}, {"id": "q2", "text": "gift card expires?"}]
    )
    out = tmp_path / "run.txt"
    assert run("search", "--queries", asked, "--run", str(out), "--limit", "1").exit_code == 0
    rows = [line.split() for line in out.read_text().splitlines()]
    assert [row[:3] for row in rows] == [["q1", "frete", "1"], ["q2", "3", "1"]]
    assert all(0 < float(row[3]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{nonsense", "this is not JSON"),
        ('["a"]', "this is not an object"),
        ({"id": "x"}, "'text' is missing or empty"),
        ({"id": " ", "text": "a"}, "'id' is missing or empty"),
        ({"id": "x", "text": ["a"]}, "'text' is not a string"),
        ({"id": "frete", "text": "a"}, "the id 'frete' is that of line 1 too"),
        ({"id": "x" * 301, "text": "a"}, "'id' is longer than 300 characters"),
        ("\udcff", "this is not JSON"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(tmp_path, bad, said):
    file = tmp_path / "a.jsonl"
    rows = [*GOOD, bad]
    file.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows), "utf-8", "surrogateescape"
    )
    with pytest.raises(ConfigurationError, match="line 4: ") as caught:
        run("add", "--jsonl", str(file))
    assert said in str(caught.value).split("\n")[0]
    assert not Document.objects.exists()


def test_wrong_use_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.jsonl cannot be read"):
        run("add", "--jsonl", str(tmp_path / "nowhere.jsonl"))
    with pytest.raises(ConfigurationError, match="There is no business 'other'"):
        run("search", "--business", "other", "frete")
    Business.objects.create(name="Two", slug="two")
    with pytest.raises(ConfigurationError, match="--business: shop, two"):
        run("search", "frete")
    assert run("search").exit_code == 2
    assert run("search", "frete", "--run", "x").exit_code == 2
