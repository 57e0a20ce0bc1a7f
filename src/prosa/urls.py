"""What a host project includes: ``path("prosa/", include("prosa.urls"))``. The webhook, the REST API and the desk.

Providers and programs call the first two without a session, and the desk sends people to a sign-in page of its own; all
open their transactions themselves. So a project's ``LoginRequiredMiddleware`` and ``ATOMIC_REQUESTS`` pass them by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.urls import URLPattern, URLResolver, include, path

from prosa.conversations.urls import urlpatterns as programs

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [*programs, path("agent/", include("prosa.desk.urls"))]


def _stand_alone(patterns: Iterable[URLPattern | URLResolver]) -> None:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            _stand_alone(pattern.url_patterns)
        else:
            login_not_required(pattern.callback)
            for alias in connections:
                outside: Callable[[Any], Any] = transaction.non_atomic_requests(using=alias)
                outside(pattern.callback)


_stand_alone(urlpatterns)
