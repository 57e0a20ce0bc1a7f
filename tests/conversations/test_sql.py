"""Every query of every ``.sql`` file fits the tables as the migrations made them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection

import prosa
from prosa import sql

FILES = sorted(Path(prosa.__file__).parent.rglob("*.sql"))
QUERIES = [
    pytest.param(body, id=f"{file.parent.name}/{file.stem}.{name}")
    for file in FILES
    for name, body in sql.Queries(file)
]


@pytest.mark.django_db
@pytest.mark.parametrize("body", QUERIES)
def test_a_query_prepares(body: bytes):
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", number, body.decode()).replace("%%", "%")
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        cursor.execute(f"PREPARE probe AS {text}".encode())
        cursor.execute("DEALLOCATE probe")


def test_there_are_queries():
    assert {"inbound", "dispatch", "begin", "finish", "outbox", "ownership", "fetching"} <= {
        file.stem for file in FILES
    }
