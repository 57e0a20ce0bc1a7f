"""Durable chores: everything that must happen later or regularly, except turns and deliveries (``conversations/dispatch``).

A chore lives in the file of the verb it performs, and its module is named in :data:`CHORES`::

    @chore
    def notify(conversation_id: int) -> None: ...

    notify.defer(conversation_id=7)              # commits or rolls back with the caller's transaction
    defer_once(notify, "notify:7", conversation_id=7)

It runs at least once: a worker killed in the middle leaves it to another one. Only this module knows Procrastinate.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import close_old_connections, transaction
from procrastinate import PsycopgConnector, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from prosa.postgres.connections import Connection

log = logging.getLogger(__name__)

CHORES = (
    "prosa.conversations.learning",
    "prosa.conversations.linking",
    "prosa.conversations.missed",
    "prosa.conversations.acts.pending",
    "prosa.conversations.retention",
    "prosa.conversations.summaries",
    "prosa.conversations.media.voicing",
    "prosa.desk.assignment",
    "prosa.desk.cases",
    "prosa.desk.clocks",
    "prosa.desk.notices",
    "prosa.desk.resetting",
    "prosa.desk.search",
    "prosa.desk.schedule",
    "prosa.knowledge.filling",
    "prosa.knowledge.sync",
    "prosa.knowledge.triggers",
)
"""Modules that hold chores; the worker imports them."""

STALLED_AFTER = 40.0
"""Seconds without a heartbeat (sent every 10) after which a worker's chores are given to another."""

REST_S = 2.0
"""Before the worker starts again after it lost the database."""

_DEFER = """
SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(%(queue)s, %(name)s, %(priority)s, NULL, %(key)s, %(arguments)s::jsonb, NULL)::procrastinate_job_to_defer_v1])
WHERE NOT EXISTS (SELECT FROM procrastinate_jobs WHERE queueing_lock = %(key)s AND status = 'todo')
"""

Parameters = ParamSpec("Parameters")
Result_co = TypeVar("Result_co", covariant=True)


class Chore(Protocol[Parameters, Result_co]):
    """A function that can also be called later."""

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result_co:
        """Do it now, here."""

    def defer(self, *_: Parameters.args, **kwargs: Parameters.kwargs) -> int:
        """Do it soon, in a worker, once the current transaction has committed."""

    def configure(self, **options: Any) -> Any:
        """Options of one call: ``schedule_at``, ``schedule_in={"seconds": 5}``, ``lock``, ``priority``."""


def chore(function: Callable[Parameters, Result_co]) -> Chore[Parameters, Result_co]:
    """Make a function deferrable. Arguments must be JSON. When it fails it is tried 4 more times over about 5 minutes."""
    made = app.task(retry=RetryStrategy(max_attempts=5, exponential_wait=4))(function)
    return cast("Chore[Parameters, Result_co]", made)


def periodic(cron: str) -> Callable[[Callable[[], Result_co]], Callable[[], Result_co]]:
    """Call a function (sync or async) at the times ``cron`` names (UTC; a sixth field is seconds), once for all workers."""

    def decorate(function: Callable[[], Result_co]) -> Callable[[], Result_co]:
        name = f"{function.__module__}.{function.__qualname__}"

        # Procrastinate passes the time meant by the name "timestamp".
        def run(timestamp: int) -> Result_co:  # noqa: ARG001
            return function()

        async def run_async(timestamp: int) -> Any:  # noqa: ARG001
            return await cast("Callable[[], Awaitable[Any]]", function)()

        made = app.task(name=name, queueing_lock=name)(run_async if inspect.iscoroutinefunction(function) else run)
        # The lock keeps turns missed during a long one from piling up.
        app.periodic(cron=cron, queueing_lock=name)(made)
        return function

    return decorate


def defer_once(deferred: Chore[Any, Any], key: str, lane: str = "", /, **arguments: Any) -> bool:
    """Defer unless a chore with the same ``key`` is already waiting. True when it was deferred.

    Of one ``lane`` only one chore is done at a time. Safe inside a transaction: the clash is undone to a savepoint.
    """
    try:
        with transaction.atomic():
            deferred.configure(queueing_lock=key, lock=lane or None).defer(**arguments)
    except AlreadyEnqueued:
        return False
    return True


async def defer_within(connection: Connection, deferred: Chore[Any, Any], key: str, /, **arguments: Any) -> None:
    """:func:`defer_once` on a connection that is not Django's, in its transaction.

    The caller holds a lock that everybody who defers under this ``key`` takes: two at once would clash.
    """
    task = cast("Any", deferred)
    await connection.execute(
        _DEFER,
        {
            "queue": task.queue,
            "name": task.name,
            "priority": task.priority,
            "key": key,
            "arguments": json.dumps(arguments),
        },
    )


def defer_sql(function: Chore[Any, Any]) -> str:
    """A statement of PL/pgSQL that defers a chore without arguments, for triggers. It waits for nobody."""
    name: str = cast("Any", function).name
    return f"""PERFORM procrastinate_defer_jobs_v1(ARRAY[
        ROW('default', '{name}', 0, NULL, NULL, '{{}}'::jsonb, NULL)::procrastinate_job_to_defer_v1
    ]);"""


async def run_worker(concurrency: int = 4) -> None:
    """Do chores until cancelled; then up to 20 s to finish those in hand. Outlives restarts of PostgreSQL."""
    for module in CHORES:
        importlib.import_module(module)
    # Deferring goes on through Django's connection; only the worker's own queries use this pool.
    parameters: dict[str, Any] = connector_params()
    while True:
        connector = PsycopgConnector(kwargs=parameters, min_size=1, max_size=3, timeout=30)
        ours = app.with_connector(connector)
        try:
            async with ours.open_async():
                # With a notification per chore, polling is only a safety net.
                await ours.run_worker_async(
                    concurrency=concurrency,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                    fetch_job_polling_interval=30,
                    abort_job_polling_interval=60,
                    shutdown_graceful_timeout=20,
                )
            log.warning("The chores' worker stopped; starting it again.")
        except ConnectorException as error:
            log.warning("The chores' worker lost the database (%s); trying again.", type(error).__name__)
        # The deferrer of periodic chores uses Django's connection of this thread, which stays broken until closed.
        await sync_to_async(close_old_connections)()
        await asyncio.sleep(REST_S)


@periodic("* * * * *")
async def recover_stalled() -> None:
    """Give the chores of dead workers to living ones."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER):
        log.warning("Chore %s #%s was left by a dead worker; it is done again.", job.task_name, job.id)
        await app.job_manager.retry_job(job)


@periodic("23 4 * * *")
async def forget_failed() -> None:
    """Delete failed chores after 30 days; those that went well are deleted at once."""
    await app.job_manager.delete_old_jobs(
        nb_hours=30 * 24, include_failed=True, include_cancelled=True, include_aborted=True
    )
