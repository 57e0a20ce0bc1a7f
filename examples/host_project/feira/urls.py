"""Addresses of the platform."""

from django.contrib import admin
from django.urls import include, path

from stores.views import mine

urlpatterns = [
    path("", mine),
    path("admin/", admin.site.urls),
    path("prosa/", include("prosa.urls")),  # Prosa: /prosa/webhook/…, /prosa/api/v1/…
]
