from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CostsConfig(AppConfig):
    name = "prosa.costs"
    label = "prosa_costs"
    verbose_name = _("Costs")
    default_auto_field = "django.db.models.BigAutoField"
