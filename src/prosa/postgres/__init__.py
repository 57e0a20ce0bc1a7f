"""PostgreSQL: the embedded server, pools, and the unpooled connections that listen and hold locks."""

from prosa.postgres.embedded import dsn, secret_key

__all__ = ["dsn", "secret_key"]
