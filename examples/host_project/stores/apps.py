"""The app of the shops."""

from django.apps import AppConfig


class StoresConfig(AppConfig):
    """Tells Prosa where a shop's buyers are known."""

    name = "stores"

    def ready(self):
        from prosa.plugins import manager
        from stores import registers

        manager().register(registers, "stores")
