"""E-mail to the people of the desk, by Django's backend."""

from __future__ import annotations

import logging
import smtplib
from email.errors import MessageError
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string

from prosa import conf
from prosa.errors import TemporaryError

log = logging.getLogger(__name__)

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Unsent(TemporaryError):
    """No mail went out: the server did not take it, or there is none."""


def root(request: HttpRequest) -> str:
    """The address people reach this server under, for links in mails."""
    public = urlsplit(conf.settings().public_url)
    return f"{public.scheme}://{public.netloc}" if public.netloc else f"{request.scheme}://{request.get_host()}"


def possible() -> bool:
    """Is there any way to send mail?"""
    return settings.EMAIL_BACKEND != SMTP or bool(settings.EMAIL_HOST)


def send(to: str, subject: str, template: str, context: dict[str, Any]) -> None:
    """Send a text in the current language.

    :raises Unsent: it did not go out.
    """
    if not possible():
        raise Unsent("This installation sends no e-mail.\nSet PROSA_EMAIL_URL.")
    try:
        send_mail(" ".join(subject.split()), render_to_string(template, context), None, [to])
    except (ValueError, MessageError) as error:
        raise Unsent("No mail can be written to this address.\nCorrect it.") from error
    except (smtplib.SMTPException, OSError) as error:
        log.warning("A mail (%s) could not be sent (%s)", template, type(error).__name__)
        raise Unsent("The mail server did not take the message.\nLook at PROSA_EMAIL_URL and the log.") from error
