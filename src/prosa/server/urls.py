"""Addresses of the standalone server. ``/webhook…`` is not here: ``asgi`` gives it to the door."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.i18n import set_language

from prosa import conf
from prosa.server import accounts  # noqa: F401 -- dresses the admin's users and groups
from prosa.server.health import healthz, readyz
from prosa.server.home import home

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("agent/", include("prosa.desk.urls")),
    path("language/", set_language, name="set_language"),
    path("healthz", healthz),
    path("readyz", readyz),
    path("", include("prosa.conversations.urls")),
]

if conf.settings().development:
    urlpatterns.append(path("simulator/", include("prosa.simulator.urls")))
