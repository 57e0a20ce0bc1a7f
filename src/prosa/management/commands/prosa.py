"""``manage.py prosa …``: Prosa's commands inside a host project, with the host's settings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from prosa.errors import ConfigurationError


class Command(BaseCommand):
    """``worker``, ``setup``, ``apikey`` or ``doctor``."""

    help = "Prosa: answer conversations (worker), make the first business and inboxes (setup), call the API (apikey), look for trouble (doctor)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One subcommand each."""
        commands = parser.add_subparsers(dest="command", required=True)
        worker = commands.add_parser("worker", help="Answer, deliver and do chores.")
        worker.add_argument(
            "--concurrency", type=int, default=0, help="Turns at once; default PROSA_WORKER_CONCURRENCY or 200."
        )
        commands.add_parser("setup", help="First business, inboxes from the environment; after migrate.")
        key = commands.add_parser("apikey", help="Make a key of the REST API and show it once.")
        key.add_argument("--name", default="default", help="What it is for.")
        key.add_argument("--inbox", help="Short name of the REST inbox; needed when there are several.")
        doctor = commands.add_parser("doctor", help="Say what is missing or wrong.")
        doctor.add_argument("--json", action="store_true", help="For machines.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Run it.

        :raises CommandError: a setting is missing or wrong, or doctor found an error.
        """
        try:
            self._run(options)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=2) from None

    def _run(self, options: dict[str, Any]) -> None:
        if options["command"] == "worker":
            from prosa import conf
            from prosa.worker import run

            code = run(options["concurrency"] or conf.settings().worker_concurrency)
            if code:
                raise CommandError("The worker ended with an error; see the log.", returncode=code)
        elif options["command"] == "setup":
            from prosa.cli.setup import setup

            made = setup(self.stdout.write)
            if made.password:
                self.stdout.write(f"Administrator {made.admin}, password {made.password} (shown only now).")
            for name, url in made.webhooks:
                self.stdout.write(f"Webhook of {name}: {url}")
        elif options["command"] == "apikey":
            from prosa.cli.apikey import issue

            self.stdout.write(issue(options["name"], options["inbox"]))
        else:
            from prosa.cli.doctor import examine, show

            findings = examine()
            show(findings, as_json=options["json"])
            if any(finding.level == "error" for finding in findings):
                raise CommandError("Something does not work.", returncode=1)
