"""Merchants in the admin."""

from django.contrib import admin

from accounts.models import Merchant


@admin.register(Merchant)
class MerchantAdmin(admin.ModelAdmin):
    """Plain."""

    list_display = ("email", "name", "is_active")
    exclude = ("password",)
