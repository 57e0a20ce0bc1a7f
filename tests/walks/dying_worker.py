"""A worker process with the shop's tools, to be killed in the middle of a write: ``python -m tests.walks.dying_worker DSN FILE``.

It says in FILE what it began, and never ends it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import django

django.setup()

from tests.walks.shop import Shop  # noqa: E402  Django first

from prosa import plugins  # noqa: E402
from prosa.worker import Worker  # noqa: E402


async def main(dsn: str, told: Path) -> None:
    shop = Shop()

    async def begins() -> None:
        told.write_text(shop.done[-1][2])  # noqa: ASYNC240  a few bytes, the last this process does
        await asyncio.get_running_loop().create_future()

    shop.during = begins
    plugins.manager().register(shop, "shop")
    await Worker(dsn, 5).run(chores=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
