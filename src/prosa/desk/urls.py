"""Addresses below ``/agent/``."""

from __future__ import annotations

from django.urls import path

from prosa.desk import accounts, moves, views, writing

app_name = "desk"

urlpatterns = [
    path("", views.home, name="home"),
    path("login", accounts.SignIn.as_view(), name="login"),
    path("logout", accounts.sign_out, name="logout"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("business/<int:business_id>", views.choose, name="choose"),
    path("list", views.conversations, name="list"),
    path("counts", views.counts, name="counts"),
    path("stream", views.stream, name="stream"),
    path("file/<int:attachment_id>", views.file, name="file"),
    path("c/<int:conversation_id>", views.conversation, name="conversation"),
    path("c/<int:conversation_id>/older", views.older, name="older"),
    path("c/<int:conversation_id>/since", views.since, name="since"),
    path("c/<int:conversation_id>/reply", writing.reply, name="reply"),
    path("c/<int:conversation_id>/note", writing.note, name="note"),
    path("c/<int:conversation_id>/draft", writing.draft, name="draft"),
    path("c/<int:conversation_id>/label/<int:label_id>", moves.label, name="label"),
    path("c/<int:conversation_id>/<slug:move>", moves.move, name="move"),
]
