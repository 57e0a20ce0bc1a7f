"""Settings of Feira, a marketplace that was there before Prosa. What Prosa needs of it is marked."""

import os
from pathlib import Path

import dj_database_url
from django.templatetags.static import static

from prosa.apps import APPS as PROSA

ROOT = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("FEIRA_SECRET_KEY", "feira-on-a-laptop-only-feira-on-a-laptop-only")
DEBUG = os.environ.get("FEIRA_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "unfold",  # Prosa: draws its admin pages; without it they are left out and the admin stays as it was
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "accounts",
    "stores",
    *PROSA,  # Prosa
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "feira.urls"
ASGI_APPLICATION = "feira.asgi.application"
WSGI_APPLICATION = "feira.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Prosa: PostgreSQL 15 or later. It takes no other setting for it: Django's is the one source.
DATABASES = {"default": dj_database_url.config(default="postgresql:///feira") | {"ATOMIC_REQUESTS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.Merchant"
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "pt-br"
TIME_ZONE = "America/Sao_Paulo"
USE_TZ = True  # Prosa
STATIC_URL = "static/"
MEDIA_ROOT = ROOT / "media"  # Prosa: files customers send go to the default storage

# Prosa: its colours in the admin.
UNFOLD = {
    "SITE_HEADER": "Feira",
    "STYLES": [lambda _request: static("prosa/tokens.css"), lambda _request: static("prosa/admin.css")],
}
