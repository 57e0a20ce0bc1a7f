"""The database Django uses, for the connections that are not Django's."""

from __future__ import annotations

from django.db import connections
from psycopg.conninfo import make_conninfo

_OURS = (
    "dbname",
    "user",
    "password",
    "passfile",
    "host",
    "port",
    "options",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "service",
)


def dsn(alias: str = "default") -> str:
    """Django's database as a connection string: one source of truth, in a host project and in tests too."""
    parameters = connections[alias].get_connection_params()
    return make_conninfo(**{key: str(parameters[key]) for key in _OURS if parameters.get(key)})
