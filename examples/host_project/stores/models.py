"""A merchant's shop on the platform."""

from django.conf import settings
from django.db import models


class Store(models.Model):
    """A shop. ``business`` is its customer service: inboxes, guidelines and conversations hang on that row of Prosa."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stores")
    name = models.CharField(max_length=120)
    business = models.OneToOneField(
        "prosa_business.Business", null=True, blank=True, on_delete=models.SET_NULL, related_name="store"
    )

    def __str__(self):
        return self.name
