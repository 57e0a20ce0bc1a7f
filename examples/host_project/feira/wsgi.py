"""The platform under WSGI. Prosa's webhooks are taken by its Django view."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feira.settings")
application = get_wsgi_application()
