from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConversationsConfig(AppConfig):
    name = "prosa.conversations"
    label = "prosa_conversations"
    verbose_name = _("Conversations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The budget page, which lies below, learns what conversations cost."""
        from prosa.conversations import spent
        from prosa.costs import counting, spending

        spending.dearest = spent.dearest
        counting.messages = spent.messages
