"""Django settings of the standalone server, derived from ``prosa.conf``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.utils.translation import gettext_lazy as _

from prosa import conf, postgres
from prosa.apps import APPS
from prosa.server.logging import configuration
from prosa.server.mail import mail_settings
from prosa.server.unfold import UNFOLD  # noqa: F401 -- read by django-unfold

SETTINGS = conf.settings()
PACKAGE = Path(__file__).resolve().parent.parent
PUBLIC = urlsplit(SETTINGS.public_url)
# A development server with a public address (a tunnel) is also used at http://127.0.0.1.
HTTPS = PUBLIC.scheme == "https" and not SETTINGS.development

DEBUG = SETTINGS.debug
SECRET_KEY = postgres.secret_key(SETTINGS)
SECRET_KEY_FALLBACKS = [key.get_secret_value() for key in SETTINGS.secret_key_fallbacks]
ALLOWED_HOSTS = [
    *("localhost", "127.0.0.1", "[::1]", ".localhost"),
    *([PUBLIC.hostname] if PUBLIC.hostname else []),
    *SETTINGS.allowed_hosts,
]

# ── safety ──

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "prosa_session"
CSRF_TRUSTED_ORIGINS = [f"{PUBLIC.scheme}://{PUBLIC.netloc}"] if PUBLIC.netloc else []
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * conf.MEGABYTE
FILE_UPLOAD_MAX_MEMORY_SIZE = conf.MEGABYTE
FILE_UPLOAD_PERMISSIONS = 0o640
LOGGING = configuration(SETTINGS.log_level, SETTINGS.log_format)
# In development mail is caught: see the files below DATA_DIR/mail.
CAUGHT = SETTINGS.data_dir / "mail" if SETTINGS.development else None
globals().update(mail_settings(SETTINGS.email_url.get_secret_value(), SETTINGS.email_from, CAUGHT))

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    *APPS,
    "prosa.simulator",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "prosa.server.csp.ContentSecurityPolicy",
    "prosa.server.nul.refuse_nul",
    "prosa.server.static.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "prosa.server.second_step.SecondStepFirst",
    "prosa.server.zone.OwnersZone",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "prosa.server.urls"
ASGI_APPLICATION = "prosa.server.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "server" / "templates"],
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

DATABASES = {"default": dj_database_url.parse(postgres.dsn(SETTINGS), conn_max_age=0)}
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 6
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "prosa.server.accounts.locked_out"
AXES_USERNAME_CALLABLE = "prosa.server.accounts.said_name"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"

LANGUAGE_CODE = "en"
LANGUAGES = [("pt-br", _("Portuguese (Brazil)")), ("es", _("Spanish")), ("en", _("English"))]
LOCALE_PATHS = [PACKAGE / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [PACKAGE / "server" / "static"]
STATIC_ROOT = SETTINGS.data_dir / "static"
# `prosa up` needs no collectstatic: files are served from the packages they come in.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = SETTINGS.debug
WHITENOISE_ALLOW_ALL_ORIGINS = False
MEDIA_ROOT = SETTINGS.data_dir / "media"
