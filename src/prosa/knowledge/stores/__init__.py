"""Where vectors are kept and found: pgvector by default, Qdrant by setting."""

from __future__ import annotations

from prosa.conf import settings
from prosa.knowledge.stores.base import Stored, VectorStore
from prosa.postgres.connections import Pool

__all__ = ["PGVECTOR", "QDRANT", "Stored", "VectorStore", "find", "name"]

PGVECTOR, QDRANT = "pgvector", "qdrant"


def name() -> str:
    """Which store this installation uses: ``pgvector`` or ``qdrant``."""
    return QDRANT if settings().qdrant_url else PGVECTOR


def find(pool: Pool) -> VectorStore:
    """The store of this installation: Qdrant when ``PROSA_QDRANT_URL`` is set, else ``pool``'s PostgreSQL.

    Call it within a running event loop and ``close`` the store before the loop ends.

    :raises ConfigurationError: Qdrant is asked for and its package is not installed.
    """
    config = settings()
    if config.qdrant_url:
        from prosa.knowledge.stores.qdrant import Qdrant

        return Qdrant.at(config.qdrant_url, config.qdrant_api_key.get_secret_value())
    from prosa.knowledge.stores.pgvector import PgVector

    return PgVector(pool)
