"""Every way to ask wrongly ends in a sentence and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import environment, prosa

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (["nonsense"], {}, "prosa: No such command 'nonsense'. Try --help.\n"),
        (["doctor", "--nonsense"], {}, "prosa: No such option: --nonsense. Try --help.\n"),
        (["bench"], {}, "prosa: Missing argument 'name'. Try --help.\n"),
        ([], {}, "prosa [OPTIONS] COMMAND"),
        (["up", "--port", "70000"], {}, "--port"),
        (["worker", "--concurrency", "0"], {}, "--concurrency"),
        (["up"], {"PROSA_PORT": "many"}, "PROSA_PORT"),
        (["up"], {"PROSA_PORT": "99999"}, "PROSA_PORT"),
        (["up"], {"PROSA_LOG_LEVEL": "loud"}, "PROSA_LOG_LEVEL: must be DEBUG"),
        (["up"], {"PROSA_API_DEADLINE": "nan"}, "PROSA_API_DEADLINE"),
        (
            ["setup"],
            {"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x", "PROSA_SECRET_KEY": "k" * 40},
            "The database x on 127.0.0.1 does not answer",
        ),
        (["web"], {"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}, "PROSA_SECRET_KEY is required"),
        (["web"], {"PROSA_SECRET_KEY": "changeme", "DATABASE_URL": "postgresql:///x"}, "PROSA_SECRET_KEY"),
        (["doctor"], {"PROSA_SECRET_KEY_FILE": "/nowhere", "DATABASE_URL": "postgresql:///x"}, None),
        (["bench", "nonsense"], {}, None),
    ],
)
def test_wrong_use(arguments, variables, expected, data_dir):
    done = prosa(*arguments, cwd=data_dir, **variables)
    assert done.returncode == (1 if arguments == ["doctor"] else 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert expected is None or expected in done.stderr
    if expected is not None and expected.endswith("\n"):
        assert done.stderr == expected


def test_help_loads_nothing_heavy():
    code = "import sys; from prosa.cli import app; import typer.testing as t; assert t.CliRunner().invoke(app, ['--help']).exit_code == 0; print(sorted(set(sys.modules) & {'django', 'pydantic', 'psycopg', 'rich.console', 'uvicorn'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "[]"


def test_the_supervisor_stays_small():
    code = "import sys; import prosa.cli.up; print(sorted(set(sys.modules) & {'django', 'pydantic', 'pydantic_settings', 'psycopg', 'uvicorn'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "[]"


def test_doctor_on_an_unreachable_database(data_dir):
    done = prosa(
        "doctor",
        "--json",
        cwd=data_dir,
        DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/x",
        PROSA_SECRET_KEY="k" * 40,
        MONGO_URI="mongodb://h",
    )
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["error"] == 1
    by_subject = {finding["subject"]: finding for finding in report["findings"]}
    assert by_subject["database"]["level"] == "error"
    assert by_subject["MONGO_URI"]["level"] == "warning"
    assert "hunter2" not in done.stdout


def test_doctor_names_wrong_settings(data_dir):
    done = prosa("doctor", cwd=data_dir, PROSA_PORT="many")
    assert done.returncode == 1
    assert "PROSA_PORT" in done.stdout
