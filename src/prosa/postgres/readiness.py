"""What must be true of the database before the installation can serve."""

from __future__ import annotations

from functools import lru_cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader

WORKER_LOCK_CLASS = 0x50524F53
"""``classid`` of the session advisory lock each worker holds while it lives ("PROS"; see ``conversations/dispatch``)."""


def unapplied() -> list[str]:
    """Migrations this code has and the database has not, as ``app.name``.

    :raises django.db.DatabaseError: the database cannot be asked.
    """
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('django_migrations') is not null")
        if not cursor.fetchone()[0]:
            return sorted(_known())
        cursor.execute("select app || '.' || name from django_migrations")
        applied = {row[0] for row in cursor.fetchall()}
    return sorted(_known() - applied)


def live_workers() -> int:
    """How many worker processes live, by the locks they hold.

    :raises django.db.DatabaseError: the database cannot be asked.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct pid) from pg_locks where locktype = 'advisory' and classid::bigint = %s and granted"
            " and database = (select oid from pg_database where datname = current_database())",
            [WORKER_LOCK_CLASS],
        )
        return int(cursor.fetchone()[0])


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations)
