"""A job table drained as most programs do it: claim one row with SKIP LOCKED, work, mark it done, again; on 8 connections."""

import asyncio
import time

import psycopg

CLAIM = """UPDATE job SET status = 'running'
WHERE id = (SELECT id FROM job WHERE status = 'waiting' ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, conversation_id"""
DONE = "UPDATE job SET status = 'done' WHERE id = %s"


async def drain(dsn: str, connections: int = 8) -> float:
    """Work off everything that waits. Seconds it took, connecting not included."""
    opened = [
        await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=1) for _ in range(connections)
    ]

    async def work(connection: psycopg.AsyncConnection) -> None:
        while row := await (await connection.execute(CLAIM, prepare=True)).fetchone():
            await connection.execute(DONE, (row[0],), prepare=True)

    started = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in opened))
    took = time.perf_counter() - started
    for connection in opened:
        await connection.close()
    return took
