"""``prosa doctor``: what is missing or wrong, and the fix."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from prosa import conf, postgres
from prosa.cli import boot
from prosa.contracts import Finding
from prosa.errors import ConfigurationError

REPLACED = {
    "MONGO_URI": "Prosa keeps everything in PostgreSQL; set DATABASE_URL, or nothing for the embedded one.",
    "MONGODB_URI": "Prosa keeps everything in PostgreSQL; set DATABASE_URL, or nothing for the embedded one.",
    "FLASK_APP": "Prosa runs on Django; start it with `prosa up` or `prosa web`.",
    "FLASK_ENV": "Prosa runs on Django; for development use `prosa up` on 127.0.0.1.",
    "FLASK_DEBUG": "Set PROSA_DEBUG=1 instead, and never in production.",
    "FLASK_RUN_PORT": "Set PROSA_PORT or PORT instead.",
    "FLASK_SECRET_KEY": "Set PROSA_SECRET_KEY instead.",
    "SECRET_KEY": "Set PROSA_SECRET_KEY instead.",
}
KEYS = {
    "openai": ("openai_api_key", "OPENAI_API_KEY", "openai_base_url"),
    "openai-chat": ("openai_api_key", "OPENAI_API_KEY", "openai_base_url"),
    "google": ("gemini_api_key", "GEMINI_API_KEY", "gemini_base_url"),
    "anthropic": ("anthropic_api_key", "ANTHROPIC_API_KEY", "anthropic_base_url"),
}


def examine() -> list[Finding]:
    """Look at everything. Stops early when the settings or the database leave nothing to look at."""
    try:
        settings = conf.load()
    except ConfigurationError as error:
        return [_trouble("settings", error)]
    findings = [
        Finding("ok", "settings", "They can be read."),
        *_models(settings),
        *_public(settings),
    ]
    if boot.hosted():
        boot.django()
        from prosa.postgres import shared

        if not postgres.ready(shared.dsn()):
            return [*findings, _silent("Check DATABASES['default'], and that PostgreSQL runs and lets this user in.")]
        return [*findings, *_mounted(settings), *_database("manage.py prosa"), *_plugins()]
    findings.extend(replaced(os.environ))
    try:
        postgres.secret_key(settings)
        url = postgres.dsn(settings)
    except ConfigurationError as error:
        return [*findings, _trouble("settings", error)]
    if not postgres.ready(url):
        fix = "Check DATABASE_URL, and that PostgreSQL runs and lets this user in."
        return [*findings, _silent("See the log in the data dir." if settings.embedded else fix)]
    boot.django()
    return [*findings, *_database("prosa"), *_plugins()]


def _silent(fix: str) -> Finding:
    return Finding("error", "database", "It does not answer.", fix)


def _mounted(settings: conf.Settings) -> Iterator[Finding]:
    """Does the host project answer where providers are told to call?"""
    from django.urls import NoReverseMatch, reverse

    try:
        found = reverse("prosa-webhook")
    except NoReverseMatch:
        yield Finding(
            "warning",
            "addresses",
            "prosa.urls is not included in this project's URLs.",
            'Include it, for example: path("prosa/", include("prosa.urls")).',
        )
        return
    told = urlsplit(settings.public_url).path + "/webhook"
    if settings.public_url and told != found:
        yield Finding(
            "error",
            "addresses",
            f"Providers are told to call {told}/…, but this project answers at {found}/….",
            f"Let PROSA_PUBLIC_URL end in {found.removesuffix('/webhook') or 'the host name'}.",
        )
    else:
        yield Finding("ok", "addresses", f"Webhooks are answered at {found}/….")


def _trouble(subject: str, error: ConfigurationError) -> Finding:
    what, _, fix = str(error).rpartition("\n")
    return Finding("error", subject, what or fix, fix if what else "")


def replaced(environment: Iterable[str]) -> Iterator[Finding]:
    """Variables of other bots that mean nothing here."""
    for name in sorted(set(environment) & set(REPLACED)):
        yield Finding("warning", name, "This variable is not read.", REPLACED[name])


def _models(settings: conf.Settings) -> Iterator[Finding]:
    if settings.model == "offline":
        yield Finding(
            "info",
            "model",
            "offline: only approved answers are given.",
            "Set PROSA_MODEL, for example openai-chat:gpt-4.1-mini, and its key.",
        )
    for model in (settings.model, *settings.fallback_models):
        yield from _model(settings, "model", model)


def _model(settings: conf.Settings, subject: str, model: str) -> Iterator[Finding]:
    if model == "offline":
        return
    if not conf.names_model(model):
        yield Finding(
            "error",
            subject,
            f"{model!r} names no provider we know.",
            f"Write provider:model with one of {', '.join(conf.MODEL_PROVIDERS)}, or offline.",
        )
        return
    field, variable, address = KEYS[model.partition(":")[0]]
    # A server of one's own (Ollama, vLLM) asks for no key.
    if getattr(settings, field).get_secret_value() or getattr(settings, address):
        yield Finding("ok", subject, f"{model} has what it needs to be asked.")
    else:
        yield Finding("error", subject, f"{model} has no key.", f"Set {variable}.")


def _businesses() -> Iterator[Finding]:
    """A model chosen in the admin that cannot be asked: its customers get approved answers only."""
    from prosa.business.models import Business

    for business in Business.objects.filter(active=True):
        for model in (business.model, *business.fallback_models.split(",")):
            if model.strip():
                yield from _model(conf.settings(), f"model of {business.slug}", model.strip())


def _public(settings: conf.Settings) -> Iterator[Finding]:
    if not settings.public_url:
        yield Finding(
            "info",
            "public address",
            "None is set, so no provider can reach this server.",
            "Set PROSA_PUBLIC_URL to its https address.",
        )
    elif settings.public_url.startswith("http://"):
        yield Finding(
            "warning",
            "public address",
            "Meta and Twilio deliver only to https.",
            "Put a reverse proxy with a certificate in front, and https into PROSA_PUBLIC_URL.",
        )
    else:
        yield Finding("ok", "public address", settings.public_url)
    if settings.debug and not settings.development:
        yield Finding("error", "debug", "Error pages show code and settings to strangers.", "Unset PROSA_DEBUG.")


def _database(command: str) -> Iterator[Finding]:
    from django.contrib.auth import get_user_model
    from django.db import connection

    from prosa.postgres.readiness import live_workers, unapplied

    with connection.cursor() as cursor:
        cursor.execute(
            "select current_setting('server_version'), current_setting('server_version_num')::int, current_setting('synchronous_commit')"
        )
        version, number, commit = cursor.fetchone()
        cursor.execute("select lower('Á') = 'á'")
        folds = cursor.fetchone()[0]
        cursor.execute("select exists (select from pg_available_extensions where name = 'vector')")
        vectors = cursor.fetchone()[0]
    if number < 150000:
        yield Finding("error", "database", f"PostgreSQL {version} is too old.", "Use PostgreSQL 15 or later.")
    else:
        yield Finding("ok", "database", f"PostgreSQL {version} answers.")
    if commit == "off":
        yield Finding(
            "warning",
            "database",
            "synchronous_commit is off: a crash can lose messages that were acknowledged.",
            "Set it to on.",
        )
    if not folds:
        yield Finding(
            "warning",
            "database",
            "Its locale does not know accented letters, so searching misses answers.",
            "Make it anew with a UTF-8 locale, for example C.UTF-8.",
        )
    if not vectors:
        yield Finding(
            "info",
            "database",
            "The extension pgvector is not installed on the server.",
            "It will be needed for the knowledge base.",
        )
    missing = unapplied()
    if missing:
        yield Finding(
            "error",
            "migrations",
            f"{len(missing)} to apply, first {missing[0]}.",
            "Run: manage.py migrate" if command != "prosa" else "Run: prosa setup",
        )
        return
    yield Finding("ok", "migrations", "All are applied.")
    yield from _businesses()
    workers = live_workers()
    if workers:
        yield Finding("ok", "workers", f"{workers} at work.")
    else:
        yield Finding(
            "error",
            "workers",
            "None is running, so nothing is answered.",
            f"Start one: {command} worker" + (" (or everything: prosa up)" if command == "prosa" else ""),
        )
    if not get_user_model()._default_manager.filter(is_superuser=True, is_active=True).exists():  # noqa: SLF001  the documented way
        yield Finding(
            "warning",
            "accounts",
            "There is no administrator.",
            "Run: prosa setup" if command == "prosa" else "Run: manage.py createsuperuser",
        )


def _plugins() -> Iterator[Finding]:
    from django.db import DatabaseError

    from prosa import plugins

    manager = plugins.manager()
    for implementation in manager.hook.doctor_checks.get_hookimpls():
        try:
            found: Iterable[Finding] = implementation.function()  # type: ignore[assignment]
            yield from found
        except (DatabaseError, OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
            yield Finding(
                "error",
                implementation.plugin_name,
                f"Its check failed: {type(error).__name__}.",
                "Report this to whoever made the plug-in.",
            )


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print them: a table for people, one object for machines."""
    if as_json:
        counts = {
            level: sum(finding.level == level for finding in findings) for level in ("ok", "info", "warning", "error")
        }
        report = {"findings": [asdict(finding) for finding in findings], **counts}
        sys.stdout.write(json.dumps(report, ensure_ascii=False, default=str) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    marks: dict[str, Any] = {
        "ok": "[green]ok[/]",
        "info": "[blue]info[/]",
        "warning": "[yellow]warning[/]",
        "error": "[red]error[/]",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            marks.get(finding.level, finding.level),
            str(finding.subject),
            str(finding.text) + (f"\n[dim]→ {finding.fix}[/]" if finding.fix else ""),
        )
    Console().print(table)
