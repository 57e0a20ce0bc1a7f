"""What the server's middleware share: each link stands in an async stack and in a sync one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest


class Middleware:
    """A link that Django need not wrap: a sync one would put every async view behind it into a thread.

    ``__call__`` asks ``iscoroutinefunction(self)`` in which of the two it stands.
    """

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(cast("Any", self))
