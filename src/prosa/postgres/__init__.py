"""PostgreSQL: the embedded server, pools, and the unpooled connections that listen and hold locks."""

from prosa.postgres.embedded import cluster, dsn, ready, secret_key, stop

__all__ = ["cluster", "dsn", "ready", "secret_key", "stop"]
