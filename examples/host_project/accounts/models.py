"""Who signs in: merchants, by e-mail."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Merchants(BaseUserManager):
    """Makes merchants."""

    def create_user(self, email, password=None, **fields):
        merchant = self.model(email=self.normalize_email(email), **fields)
        merchant.set_password(password)
        merchant.save()
        return merchant

    def create_superuser(self, email, password=None, **fields):
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class Merchant(AbstractBaseUser, PermissionsMixin):
    """Has no user name."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    USERNAME_FIELD = "email"
    objects = Merchants()

    def __str__(self):
        return self.name or self.email
