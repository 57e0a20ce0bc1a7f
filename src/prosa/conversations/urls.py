"""What the REST API and, in host projects, the webhook view answer to. Include it at the root: ``path("", include(…))``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from prosa.conversations.media import links
from prosa.conversations.rest import copilot  # noqa: F401  it adds to api
from prosa.conversations.rest.api import api, nothing_here, seller
from prosa.conversations.views import webhook

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^webhook(?P<rest>/.*)?$", webhook, name="prosa-webhook"),
    re_path(r"^api/v1/?$", nothing_here),
    path("api/v1/", api.urls),
    re_path(r"^api/v1/.*$", nothing_here),
    path("seller/", seller.urls),
    path("files/<str:token>", links.shown),
]
