"""Addresses of the phone, below ``/simulator/``. The doubles' own are in ``app``."""

from __future__ import annotations

from django.urls import path

from prosa.simulator import views

app_name = "simulator"
urlpatterns = [
    path("", views.phone, name="phone"),
    path("conversation/", views.conversation, name="conversation"),
    path("file/<str:file_id>/", views.file, name="file"),
    path("api/lines/", views.lines, name="lines"),
    path("api/thread/", views.thread, name="thread"),
    path("api/send/", views.send, name="send"),
    path("api/read/", views.read, name="read"),
    path("api/typing/", views.typing, name="typing"),
    path("api/mischief/", views.mischief, name="mischief"),
    path("api/stream/", views.stream, name="stream"),
]
