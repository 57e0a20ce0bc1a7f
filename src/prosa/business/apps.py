from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BusinessConfig(AppConfig):
    name = "prosa.business"
    label = "prosa_business"
    verbose_name = _("Business")
    default_auto_field = "django.db.models.BigAutoField"
