"""The command line: ``prosa up`` and its relatives. What a command does is in the file of its name; here is how it is asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from prosa.errors import ConfigurationError

app = typer.Typer(
    name="prosa",
    help="Self-hosted AI customer service. `prosa up` starts everything.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its help pages take 300 ms to import
    add_completion=False,
)
keys = typer.Typer(help="Keys of the REST API.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys, name="apikey")
knowledge = typer.Typer(help="What the business knows.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(knowledge, name="knowledge")

Host = Annotated[str | None, typer.Option(help="Interface to bind; default PROSA_HOST or 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to bind; default PROSA_PORT or 8000.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the embedded database, media and secret key; default PROSA_DATA_DIR or ./var."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
NO_DEMO = typer.Option("--no-demo", help="Without the demo business and its simulated inboxes.")


def main() -> None:
    """Run the command line. Whatever the user can put right ends in one sentence and exit code 2, never in a traceback."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        said = error.format_message()  # one line, or the whole help page where no command was named
        sys.stderr.write(f"{said}\n" if "\n" in said else f"prosa: {said.rstrip('.')}. Try --help.\n")
        sys.exit(error.exit_code)
    except ConfigurationError as error:
        sys.stderr.write(f"prosa: {error}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


@app.callback(invoke_without_command=True)
def prosa(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:  # noqa: FBT002  how typer spells a flag
    """Self-hosted AI customer service. `prosa up` starts everything."""
    if version:
        from prosa import __version__

        typer.echo(__version__)
        raise typer.Exit


def _environment(host: str | None = None, port: int | None = None, data_dir: Path | None = None) -> None:
    """Options become variables, so that settings and child processes see them."""
    chosen = {"PROSA_HOST": host, "PROSA_PORT": port, "PROSA_DATA_DIR": data_dir and data_dir.absolute()}
    os.environ.update({name: str(value) for name, value in chosen.items() if value is not None})


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    no_demo: Annotated[bool, NO_DEMO] = False,  # noqa: FBT002
    double: Annotated[  # noqa: FBT002
        bool, typer.Option("--double", help="The simulator's double stands in for a model: try everything with no key.")
    ] = False,
) -> None:
    """Start everything: PostgreSQL, web, worker. Ctrl-C stops it all in good order."""
    from prosa.cli.up import up as run

    _environment(host, port, data_dir)
    raise typer.Exit(run(demo=not no_demo, double=double))


@app.command()
def setup(data_dir: DataDir = None, no_demo: Annotated[bool, NO_DEMO] = False) -> None:  # noqa: FBT002
    """Database, migrations, first business, inboxes from the environment, administrator; in development the demo. Safe to repeat."""
    from prosa import conf
    from prosa.cli import boot

    _environment(data_dir=data_dir)
    boot.database(typer.echo)
    boot.django()
    from prosa.cli.setup import setup as run

    made = run(typer.echo, demo=conf.settings().development and not no_demo)
    if made.password:
        typer.echo(f"Administrator {made.admin}, password {made.password} (shown only now).")
    for name, url in made.webhooks:
        typer.echo(f"Webhook of {name}: {url}")
    typer.echo("Ready.")


@app.command()
def web(host: Host = None, port: Port = None) -> None:
    """Serve HTTP: webhooks, admin, API."""
    from prosa.cli import boot
    from prosa.cli.web import serve

    _environment(host, port)
    boot.end_with_parent()
    boot.django()
    raise typer.Exit(serve())


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Turns at once; default PROSA_WORKER_CONCURRENCY or 200.")
    ] = None,
) -> None:
    """Answer, deliver and do chores. SIGTERM finishes what is in hand (at most 30 s)."""
    from prosa.cli import boot

    boot.end_with_parent()
    boot.django()
    from prosa import conf
    from prosa.worker import run

    raise typer.Exit(run(concurrency or conf.settings().worker_concurrency))


@app.command()
def doctor(json: AsJson = False) -> None:  # noqa: FBT002
    """Say what is missing or wrong, one line each, with the fix. Exit code 1 when something does not work."""
    from prosa.cli.doctor import examine, show

    findings = examine()
    show(findings, as_json=json)
    raise typer.Exit(1 if any(finding.level == "error" for finding in findings) else 0)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def manage(context: typer.Context) -> None:
    """Any command of Django: `prosa manage shell`."""
    from prosa.cli import boot

    boot.django()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["prosa manage", *context.args])


@keys.command("new")
def apikey_new(
    name: Annotated[str, typer.Option(help="What it is for.")] = "default",
    inbox: Annotated[
        str | None, typer.Option(help="Short name of the REST inbox; needed when there are several.")
    ] = None,
) -> None:
    """Make a key and show it once."""
    from prosa.cli import boot

    boot.django()
    from prosa.cli.apikey import issue

    typer.echo(issue(name, inbox))


OfBusiness = Annotated[str | None, typer.Option(help="Short name of the business; needed when there are several.")]


@knowledge.command("add")
def knowledge_add(
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH|URL]...", help="Files, folders, pages and sitemaps.")
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(help='Instead: lines {"id", "title", "text", "lang"}; "title" and "lang" may be left out.'),
    ] = None,
    answers: Annotated[  # noqa: FBT002
        bool, typer.Option("--answers", help="The approved answers, as documents that are searched.")
    ] = False,
    every: Annotated[int | None, typer.Option(min=5, max=525_600, help="Minutes after which it is read again.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the source; default its own name.")] = None,
    business: OfBusiness = None,
) -> None:
    """Add sources of knowledge and read them. Safe to repeat: what is unchanged is left alone, what changed is replaced."""
    from prosa.cli import boot

    boot.django()
    if jsonl is not None and not given and not answers:
        from prosa.cli.knowledge import add

        typer.echo(add(jsonl, business))
        return
    if jsonl is not None or not (given or answers):
        raise typer.BadParameter("Give files, folders or addresses; or --answers; or --jsonl alone")
    from prosa.cli.sources import add as add_sources

    raise typer.Exit(0 if add_sources(given or [], business, every, name, answers=answers) else 1)


@knowledge.command("sync")
def knowledge_sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources; default all that are active.")
    ] = None,
    business: OfBusiness = None,
    stop: Annotated[bool, typer.Option("--stop", help="Read no further in those that are being read.")] = False,  # noqa: FBT002
) -> None:
    """Read sources again: what changed is replaced, what vanished is forgotten. Exit code 1 when one could not be read."""
    from prosa.cli import boot

    boot.django()
    from prosa.cli.sources import stop as stop_reading
    from prosa.cli.sources import sync

    if stop:
        stop_reading(names or [], business)
        return
    raise typer.Exit(0 if sync(names or [], business) else 1)


@knowledge.command("sources")
def knowledge_sources(business: OfBusiness = None, json: AsJson = False) -> None:  # noqa: FBT002
    """Where knowledge comes from, and how it was read last."""
    from prosa.cli import boot

    boot.django()
    from prosa.cli.sources import show

    show(business, as_json=json)


@knowledge.command("ask")
def knowledge_ask(
    question: Annotated[str, typer.Argument(help="What a customer would ask.")],
    business: OfBusiness = None,
    json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a customer would be answered, and from which sources. Nothing is sent or kept."""
    from prosa.cli import boot

    boot.django()
    from prosa.cli.knowledge import ask

    ask(question, business, as_json=json)


@knowledge.command("search")
def knowledge_search(
    question: Annotated[str | None, typer.Argument(help="What a customer would ask.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Passages, or documents per question.")] = 10,
    json: AsJson = False,  # noqa: FBT002
    queries: Annotated[Path | None, typer.Option(help='Many questions: lines {"id", "text"}.')] = None,
    run: Annotated[Path | None, typer.Option(help="Where their results go: lines `qid docid rank score`.")] = None,
    business: OfBusiness = None,
) -> None:
    """Passages that fit a question; or, for many questions, every document found with its best score, without a floor."""
    from prosa.cli import boot

    boot.django()
    from prosa.cli.knowledge import search, search_many

    if question is not None and queries is None and run is None:
        search(question, limit, business, as_json=json)
    elif question is None and queries is not None and run is not None:
        typer.echo(search_many(queries, run, limit, business))
    else:
        raise typer.BadParameter("Give one question, or --queries together with --run")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context, name: str, json: AsJson = False) -> None:  # noqa: FBT002
    """Run benchmarks/NAME.py of a source checkout."""
    from prosa.cli.bench import run

    options: list[Any] = [*context.args, *(["--json"] if json else [])]
    raise typer.Exit(run(name, options))
