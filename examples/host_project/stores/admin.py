"""Stores in the admin."""

from django.contrib import admin

from stores.models import Store


@admin.register(Store)
class StoreAdmin(admin.ModelAdmin):
    """Plain."""

    list_display = ("name", "owner", "business")
