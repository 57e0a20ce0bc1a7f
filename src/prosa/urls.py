"""What a host project includes: ``path("prosa/", include("prosa.urls"))``. The webhook, and the REST API.

Its views ask for no session and open no transaction of the request: they are called by providers and programs. So a
project's ``LoginRequiredMiddleware`` and ``ATOMIC_REQUESTS`` pass them by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.urls import URLPattern, URLResolver

from prosa.conversations.urls import urlpatterns

__all__ = ["urlpatterns"]


def _stand_alone(patterns: Iterable[URLPattern | URLResolver]) -> None:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            _stand_alone(pattern.url_patterns)
        else:
            login_not_required(pattern.callback)
            for alias in connections:
                outside: Callable[[Any], Any] = transaction.non_atomic_requests(using=alias)
                outside(pattern.callback)


_stand_alone(cast("list[URLPattern | URLResolver]", urlpatterns))
