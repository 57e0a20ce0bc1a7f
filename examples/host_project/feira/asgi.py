"""The platform under ASGI, with Prosa's webhook door in front: ``uvicorn feira.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feira.settings")
django = get_asgi_application()

from prosa.conversations.door import Door  # noqa: E402  models can be imported only now

application = Door(django, prefix="/prosa")
