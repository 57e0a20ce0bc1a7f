"""The embedded PostgreSQL: starts, is shared, survives kills, and says clearly why it cannot run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from prosa import postgres
from prosa.conf import Settings
from prosa.errors import ConfigurationError
from prosa.postgres.embedded import SOCKET_NAME, SOCKET_PATH_MAX, Cluster

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another user: run as root")


def ask(cluster: Cluster, sql: str) -> object:
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def postmaster(cluster: Cluster) -> int:
    return int((cluster.directory / "postmaster.pid").read_text().split()[0])


def settings_in(folder: Path, **more: object) -> Settings:
    return Settings(data_dir=folder, database_url="", secret_key="", **more)


@pytest.fixture
def cluster(data_dir: Path) -> Cluster:
    made = Cluster(data_dir / "postgres", {"fsync": "off"})
    made.start()
    return made


def test_starts_once_and_is_found_by_others(cluster):
    assert cluster.start() is False
    assert Cluster(cluster.directory).running()
    assert postgres.ready(cluster.dsn)
    assert ask(cluster, "show synchronous_commit") == "on"
    assert ask(cluster, "show fsync") == "off"
    assert ask(cluster, "show listen_addresses") == ""


def test_has_vectors_and_folds_accents(cluster):
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute("create extension vector")
    assert ask(cluster, "select to_tsvector('portuguese', 'AÇÃO')::text") == "'açã':1"


def test_stops_and_starts_again_with_its_rows(cluster):
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
    assert cluster.stop() is True
    assert not cluster.running()
    assert not postgres.ready(cluster.dsn)
    assert cluster.stop() is False
    assert cluster.start() is True
    assert ask(cluster, "select n from kept") == 7


def test_killed_server_comes_back_with_committed_rows(cluster):
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
    os.kill(postmaster(cluster), signal.SIGKILL)
    assert cluster.start() is True
    assert ask(cluster, "select n from kept") == 7


def test_process_id_taken_by_another_program_is_not_believed(cluster):
    cluster.stop()
    (cluster.directory / "postmaster.pid").write_text(
        f"{os.getpid()}\n{cluster.directory}\n0\n5432\n{cluster.directory}\n\n"
    )
    assert cluster.start() is True


def test_outlives_the_kill_of_the_process_that_started_it(data_dir):
    code = "import os, signal, sys, pathlib; from prosa.postgres.embedded import Cluster; Cluster(pathlib.Path(sys.argv[1])).start(); os.kill(os.getpid(), signal.SIGKILL)"
    started = subprocess.run([sys.executable, "-c", code, str(data_dir / "postgres")], check=False)
    assert started.returncode == -signal.SIGKILL
    assert Cluster(data_dir / "postgres").running()


def test_many_at_once_start_one_server(data_dir):
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Cluster(data_dir / "postgres").start())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]


def test_interrupted_first_start_is_repaired(data_dir):
    half = data_dir / "postgres"
    half.mkdir(mode=0o700)
    (half / "base").mkdir()
    (half / "base" / "rubbish").write_text("x")
    assert Cluster(half).start() is True


def test_long_path_gets_a_short_socket(data_dir):
    deep = data_dir / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    cluster = Cluster(deep / "postgres")
    try:
        assert cluster.start() is True
        assert len(str(cluster.socket_folder / SOCKET_NAME)) <= SOCKET_PATH_MAX
        assert cluster.socket_folder.stat().st_mode & 0o777 == 0o700
        assert ask(cluster, "select 1") == 1
    finally:
        cluster.stop()
        cluster.socket_folder.rmdir()


def test_wrong_configuration_is_told_from_the_log(data_dir):
    with pytest.raises(ConfigurationError, match="configuration file"):
        Cluster(data_dir / "postgres", {"wal_compression": "lz4"}).start()


def test_unwritable_data_dir_is_told(data_dir):
    (data_dir / "file").write_text("")
    with pytest.raises(ConfigurationError, match="PROSA_DATA_DIR"):
        postgres.dsn(settings_in(data_dir / "file" / "var"))


@needs_root
def test_closed_folder_above_is_told(data_dir):
    closed = data_dir / "home"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=f"cannot enter {closed}"):
        postgres.dsn(settings_in(closed))


@needs_root
def test_root_in_a_closed_home_keeps_its_data_elsewhere(data_dir, monkeypatch):
    closed = data_dir / "home"
    closed.mkdir(mode=0o700)
    monkeypatch.delenv("PROSA_DATA_DIR", raising=False)
    monkeypatch.chdir(closed)
    assert Settings().data_dir == Path("/var/lib/prosa")
    closed.chmod(0o755)
    assert Settings().data_dir == closed / "var"


@needs_root
def test_programs_out_of_reach_are_copied(data_dir, monkeypatch):
    monkeypatch.setattr(
        "prosa.postgres.embedded._closed_folder", lambda path: path if "pginstall18" in str(path) else None
    )
    cluster = Cluster(data_dir / "postgres")
    assert cluster.start() is True
    assert ask(cluster, "select 1") == 1
    assert list(data_dir.glob("postgresql-*"))


def test_without_database_url_the_embedded_one_is_used(data_dir):
    settings = settings_in(data_dir)
    assert postgres.ready(postgres.dsn(settings))
    assert postgres.stop(settings) is True
    assert postgres.stop(settings) is False


def test_database_url_is_taken_as_it_is(data_dir):
    settings = Settings(data_dir=data_dir, database_url="postgresql://db.example/prosa")
    assert postgres.dsn(settings) == "postgresql://db.example/prosa"
    assert postgres.stop(settings) is False


def test_secret_key_is_made_once_and_private(data_dir):
    settings = settings_in(data_dir)
    keys: set[str] = set()
    threads = [threading.Thread(target=lambda: keys.add(postgres.secret_key(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1
    assert len(keys.pop()) >= 32
    assert (data_dir / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data_dir.iterdir()] == ["secret_key"]


def test_secret_key_is_required_beside_database_url(data_dir):
    with pytest.raises(ConfigurationError, match="PROSA_SECRET_KEY is required"):
        postgres.secret_key(Settings(data_dir=data_dir, database_url="postgresql://db.example/prosa", secret_key=""))


def test_damaged_secret_key_is_told(data_dir):
    (data_dir / "secret_key").write_text("short")
    with pytest.raises(ConfigurationError, match="shorter than 32"):
        postgres.secret_key(settings_in(data_dir))
