"""The inboxes as the hot path sees them: decrypted, immutable, kept in memory until ``NOTIFY prosa_inbox``."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from prosa import conf, encryption, sql
from prosa.channels import base
from prosa.contracts import InboxConfig
from prosa.errors import ConfigurationError
from prosa.postgres.connections import Connection

CHANNEL = "prosa_inbox"
log = logging.getLogger(__name__)
queries = sql.load(__file__, "inboxes.sql")


class Inboxes:
    """A process's copy of all inboxes. ``load`` replaces it whole, so readers never see half a change."""

    def __init__(self) -> None:
        self._by_id: dict[int, InboxConfig] = {}
        self._by_slug: dict[tuple[str, str], InboxConfig] = {}
        self._by_route: dict[tuple[str, str], InboxConfig] = {}
        self.loaded = False

    def __iter__(self) -> Iterator[InboxConfig]:
        return iter(self._by_id.values())

    def get(self, inbox_id: int) -> InboxConfig | None:
        """By primary key."""
        return self._by_id.get(inbox_id)

    def named(self, kind: str, slug: str) -> InboxConfig | None:
        """By the last part of its webhook address."""
        return self._by_slug.get((kind, slug))

    def routed(self, kind: str, routing_key: str) -> InboxConfig | None:
        """By what the provider calls it."""
        return self._by_route.get((kind, routing_key))

    def of_kind(self, kind: str) -> list[InboxConfig]:
        """All active inboxes of a kind, the default one first."""
        found = [inbox for inbox in self._by_id.values() if inbox.kind == kind and inbox.active]
        return sorted(found, key=lambda inbox: (not inbox.is_default, inbox.id))

    def only(self, kind: str) -> InboxConfig | None:
        """The inbox meant by an address without a slug: the default of its kind, or the only one."""
        found = self.of_kind(kind)
        return found[0] if found and (found[0].is_default or len(found) == 1) else None

    async def load(self, connection: Connection) -> None:
        """Read every inbox. One whose credentials cannot be opened is left out and logged; the others work on."""
        settings = conf.settings()
        cursor = await connection.execute(queries.all)
        by_id: dict[int, InboxConfig] = {}
        for row in await cursor.fetchall():
            (
                inbox_id,
                business_id,
                kind,
                slug,
                routing_key,
                sealed,
                verify_token,
                active,
                is_default,
                options,
                quiet,
                max_quiet,
                reopen,
                troubled,
            ) = row
            try:
                credentials = encryption.decrypt(sealed)
            except ConfigurationError as error:
                log.error(  # noqa: TRY400 - the reason is the message
                    "Inbox %s/%s is out of service: %s", kind, slug, str(error).split("\n")[0]
                )
                continue
            known = base.registered().get(kind)
            waits = known.quiet if known else True
            by_id[inbox_id] = InboxConfig(
                id=inbox_id,
                business_id=business_id,
                kind=kind,
                slug=slug,
                routing_key=routing_key,
                credentials=credentials,
                verify_token=verify_token,
                active=active,
                is_default=is_default,
                troubled=troubled,
                quiet_ms=quiet if waits else 0,
                max_quiet_ms=max_quiet if waits else 0,
                reopen_s=reopen,
                public_url=settings.public_url,
                settings=options if isinstance(options, dict) else json.loads(options or "{}"),
            )
        self._by_id = by_id
        self._by_slug = {(inbox.kind, inbox.slug): inbox for inbox in by_id.values()}
        self._by_route = {(inbox.kind, inbox.routing_key): inbox for inbox in by_id.values() if inbox.routing_key}
        self.loaded = True
