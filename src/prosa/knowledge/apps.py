from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KnowledgeConfig(AppConfig):
    name = "prosa.knowledge"
    label = "prosa_knowledge"
    verbose_name = _("Knowledge")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from prosa.knowledge import learned, vectors  # noqa: F401 -- makes their models known
