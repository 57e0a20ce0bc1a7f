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


class Buyer(models.Model):
    """Who buys in a shop. The same person in two shops is two buyers: shops do not share their customers."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="buyers")
    name = models.CharField(max_length=120)
    mobile = models.CharField(max_length=20, blank=True, help_text="Digits with the country's code.")
    email = models.EmailField(blank=True)

    def __str__(self):
        return self.name


class Order(models.Model):
    """What a buyer ordered."""

    buyer = models.ForeignKey(Buyer, on_delete=models.CASCADE, related_name="orders")
    placed_on = models.DateField()
    total = models.DecimalField(max_digits=9, decimal_places=2)
    status = models.CharField(max_length=40)

    def __str__(self):
        return f"#{self.pk}"
