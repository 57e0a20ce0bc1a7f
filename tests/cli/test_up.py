"""One command runs everything, survives kills, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import PATIENCE_S, Installation, alive, free_port, prosa

pytestmark = [pytest.mark.walk, pytest.mark.timeout(600)]


def test_first_start_restarts_and_a_clean_stop(data_dir):
    running = Installation(data_dir)
    try:
        said = running.said()
        assert "Phone (simulator)" in said
        assert f"http://127.0.0.1:{running.port}/webhook/whatsapp_cloud/demo/" in said
        assert f"http://127.0.0.1:{running.port}/webhook/twilio/demo/" in said
        password = re.search(r"password (\S+)", said)[1]
        assert len(password) >= 12
        running.until(running.ready, "readiness")
        assert running.readiness()["workers"] == 1
        assert running.get("/")[0] == running.get("/simulator/")[0] == running.get("/admin/login/")[0] == 200
        assert running.get("/nothing/")[0] == 404

        # A second one is refused before it touches anything.
        other = prosa("up", "--data-dir", str(data_dir / "var"), "--port", str(free_port()), cwd=data_dir)
        assert (other.returncode, "already runs" in other.stderr) == (2, True)
        assert "Traceback" not in other.stderr

        # Killed children come back.
        for name in ("web", "worker"):
            before = running.children()[name]
            os.kill(before, signal.SIGKILL)
            running.until(
                lambda name=name, before=before: running.children().get(name, before) != before, f"another {name}"
            )
            assert f"The {name} process ended (killed by SIGKILL)" in running.said()
        running.until(running.ready, "readiness after the kills")

        assert prosa("doctor", "--json", cwd=data_dir, PROSA_DATA_DIR=str(data_dir / "var")).returncode == 0

        # And PostgreSQL.
        before = running.postmaster()
        os.kill(before, signal.SIGKILL)
        running.until(
            lambda: (running.postmaster() or before) != before and running.ready(), "PostgreSQL and readiness"
        )
        assert "PostgreSQL ended. Starting it again" in running.said()

        children, postmaster = running.children(), running.postmaster()
        assert running.stop() == 0
        assert not any(alive(pid) for pid in [*children.values(), postmaster])
        assert "Stopped." in running.said()
    finally:
        running.process.kill()


def test_killed_outright_it_takes_its_children_along_and_the_next_one_recovers(installed_dir):
    again = Installation(installed_dir)
    try:
        children = again.children()
        again.process.kill()
        again.process.wait()
        deadline = time.monotonic() + PATIENCE_S
        while any(alive(pid) for pid in children.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(alive(pid) for pid in children.values())
        assert alive(again.postmaster())
    finally:
        again.process.kill()
    first_words = again.said()
    third = Installation(installed_dir, again.port)
    try:
        # The password is shown once.
        assert "password" in first_words
        assert "password" not in third.said()
        third.until(third.ready, "readiness after kill -9")
        postmaster = third.postmaster()
        third.process.send_signal(signal.SIGTERM)
        assert third.process.wait(PATIENCE_S) == 0
        assert not alive(postmaster)
    finally:
        third.process.kill()


def test_a_busy_port_is_told_in_two_lines(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = prosa("up", "--port", str(port), "--data-dir", str(data_dir / "var"), cwd=data_dir)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"prosa: Port 127.0.0.1:{port} cannot be used: Address already in use.",
        f"Choose another one: prosa up --port {port + 1}",
    ]
    assert not (data_dir / "var" / "postgres").exists()


def test_a_server_that_cannot_start_ends_the_command(installed_dir):
    """Here ``sitecustomize`` breaks uvicorn, as a half-installed package would."""
    (installed_dir / "site").mkdir()
    (installed_dir / "site" / "sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    ended = prosa(
        "up",
        "--port",
        str(free_port()),
        "--data-dir",
        str(installed_dir / "var"),
        cwd=installed_dir,
        PYTHONPATH=str(installed_dir / "site"),
    )
    assert ended.returncode == 1
    assert "The web process does not start (exit code 1). What it said is above." in ended.stdout
    assert not (installed_dir / "var" / "postgres" / "postmaster.pid").exists()


def test_a_double_stands_in_for_a_model(installed_dir):
    running = Installation(installed_dir, None, "--double")
    try:
        assert "The model is a double" in running.said()
        running.until(running.ready, "readiness")
        request = urllib.request.Request(
            f"http://127.0.0.1:{running.port}/seller/bot/",
            json.dumps({"msg": "Oi, quanto custa o difusor de varetas?", "user_id": "double-1"}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  our own server
            said = json.load(answer)
        assert "R$ 89,00" in said["response"]
        assert running.stop() == 0
    finally:
        running.process.kill()


def test_a_double_takes_no_models_place(installed_dir):
    refused = prosa(
        "up", "--double", "--data-dir", str(installed_dir / "var"), "--port", str(free_port()), cwd=installed_dir,
        PROSA_MODEL="openai-chat:x", OPENAI_API_KEY="none",
    )  # fmt: skip
    assert refused.returncode == 2
    assert "PROSA_MODEL is openai-chat:x" in refused.stderr
    assert "Traceback" not in refused.stderr
