"""``/healthz``: this process answers. ``/readyz``: the installation can serve: database, migrations, a live worker."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse

from prosa.postgres.readiness import live_workers, unapplied


def healthz(_request: HttpRequest) -> JsonResponse:
    """200 as long as the process turns."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when everything is there, else 503 naming what is not: ``{"status", "database", "migrations", "workers"}``."""
    report: dict[str, object] = {"status": "unready", "database": "unreachable", "migrations": "unknown", "workers": 0}
    try:
        missing = unapplied()
        workers = live_workers()
    except DatabaseError:
        return _unready(report)
    report |= {"database": "ok", "migrations": f"{len(missing)} to apply" if missing else "ok", "workers": workers}
    if missing or not workers:
        return _unready(report)
    return JsonResponse(report | {"status": "ok"})


def _unready(report: dict[str, object]) -> JsonResponse:
    response = JsonResponse(report, status=503)
    # A probe asks every few seconds: Django would log each answer as an error.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response
