"""The command line: ``opsmantik COMMAND``.

Each command has a module, imported when it is called for: starting the web server need not load what seeding
needs. Errors that OpsMantik raises on purpose end a command with their message and exit code 1.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from typing import Annotated

import typer

from opsmantik.errors import OpsMantikError

# Command: its module, and in it the function, or the group of commands.
COMMANDS = {
    "up": ("up", "up"),
    "down": ("up", "down"),
    "serve": ("serve", "serve"),
    "work": ("work", "work"),
    "db": ("db", "app"),
    "site": ("site", "app"),
    "user": ("user", "app"),
    "counters": ("counters", "app"),
    "upkeep": ("upkeep", "app"),
    "partitions": ("upkeep", "partitions"),
    "audit": ("audit", "app"),
    "adopt": ("adopt", "adopt"),
    "watch": ("watch", "app"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "doctor": ("doctor", "doctor"),
    "smoke": ("smoke", "smoke"),
    "keys": ("keys", "app"),
    "privacy": ("privacy", "app"),
    "demo": ("demo", "app"),
}


def build(only: str | None = None) -> typer.Typer:
    """The application with all commands, or with one, which saves loading the others."""
    app = typer.Typer(
        help="OpsMantik: which ad click became a customer.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a plain traceback in a log
    )
    app.callback()(_options)
    for name, (module, attribute) in COMMANDS.items():
        if only is not None and name != only:
            continue
        found = getattr(import_module(f"opsmantik.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def main() -> None:
    """Entry point of the installed program."""
    named = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] in COMMANDS else None
    try:
        build(named)(prog_name="opsmantik")
    except OpsMantikError as error:
        print(f"opsmantik: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None


def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        typer.echo(metadata.version("opsmantik"))
        raise typer.Exit
