"""The command `sluiceway`: which commands there are, and how their errors end.

A command's module is imported when it is used, not before: `sluiceway --help`
and shell completion answer at once.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from sluiceway.cli.output import EXIT_CODES, CommandError, complain

COMMANDS = {
    "local": "Run the workers of TaskQueues on this machine.",
    "operator": "Give every TaskQueue of a cluster the number of workers it needs.",
    "demo": "Show the meltdown of a web site and its cure, on real processes.",
    "check": "Check TaskQueues in files, and the Celery application that they run.",
    "explain": "Say why a fleet has as many workers as it has, here or in a cluster.",
    "dead": "List, release or drop messages that too many workers died of.",
    "eta": "List or release messages with a far ETA, which no worker holds until then.",
    "top": "Show the TaskQueues of a cluster live.",
    "simulate": "Play a trace: how long tasks would have waited, and what it would have cost.",
    "record": "Write down what arrives at a live broker, as a trace to play.",
    "convert": "Turn KEDA ScaledObjects and HPAs into TaskQueues.",
    "crd": "Print the CustomResourceDefinitions.",
}
"""Name → what it does. Each is the function of that name in the module of that name."""


def command_named(name: str) -> Any:
    """The command itself, with its options; this imports its module."""
    module = importlib.import_module(f"sluiceway.cli.{name}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, epilog=EXIT_CODES)(getattr(module, name))
    return typer.main.get_command(single)


class LazyCommand(TyperCommand):
    """Stands for a command whose module is imported when its arguments are parsed."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Hand over to the real command."""
        assert self.name is not None
        return command_named(self.name).make_context(*args, **kwargs)


class Commands(TyperGroup):
    """The group of all commands, none of them imported yet."""

    def __init__(self, **attrs: Any) -> None:
        attrs["commands"] = {
            name: LazyCommand(name, help=text, callback=lambda: None, params=[])
            for name, text in COMMANDS.items()
        }
        super().__init__(**attrs)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sluiceway {version('sluiceway')}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog=EXIT_CODES)
def sluiceway(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The right number of Celery workers, from zero to many and back."""


def main() -> None:
    """Entry point: what a user can mend is a line and an exit code, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding, or a name that is no Unicode, is to be readable, too.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _run()
    except* BrokenPipeError:
        # Whoever read our output has gone (`sluiceway local | head`), and all that ran has
        # been drained. The interpreter must not stumble over its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> None:
    try:
        app()
    except CommandError as exc:
        for line in str(exc).splitlines():
            complain(line)
        sys.exit(exc.code)
    except KeyboardInterrupt:
        sys.exit(130)
