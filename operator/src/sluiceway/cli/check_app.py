"""`sluiceway check -A app`: the guardrails on a Celery application, and in its pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

import typer

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.cli.output import CommandError, ExitCode, to_json
from sluiceway.guardrails.finding import Severity
from sluiceway.guardrails.formats import as_data, as_junit, as_sarif, as_text
from sluiceway.guardrails.judge import AcceptError, accepted_in, judge
from sluiceway.guardrails.loading import LoadError, NoCeleryError, load_app
from sluiceway.guardrails.source import SourceError, read_sources


class Format(StrEnum):
    """How findings are told."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


@dataclass(frozen=True, kw_only=True, slots=True)
class AppOptions:
    """What `check -A` was asked for."""

    app: str
    python: str | None
    workdir: Path
    sources: tuple[Path, ...]
    ignore: tuple[str, ...]
    fail_on: Severity
    format: Format


def check_app(options: AppOptions, taskqueues: Iterable[tuple[Path, TaskQueue]]) -> ExitCode:
    """Load, judge and tell; the exit code.

    Raises:
        CommandError: the application cannot be loaded, or an option cannot be meant.
    """
    base = options.workdir.resolve()
    try:
        app = load_app(options.app, python=options.python, workdir=base)
        judged = judge(
            app,
            read_sources(app, options.sources),
            taskqueues=((path.resolve(), taskqueue) for path, taskqueue in taskqueues),
            accept=(*accepted_in(base), *options.ignore),
        )
    except NoCeleryError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from error
    except (LoadError, SourceError, AcceptError) as error:
        raise CommandError(str(error)) from error
    match options.format:
        case Format.TEXT:
            typer.echo(as_text(judged, base))
        case Format.JSON:
            typer.echo(to_json(as_data(judged, base)))
        case Format.SARIF:
            typer.echo(as_sarif(judged, base, version("sluiceway")))
        case Format.JUNIT:
            typer.echo(as_junit(judged, base, fail_on=options.fail_on))
    failed = any(one.rule.severity.weight >= options.fail_on.weight for one in judged.findings)
    return ExitCode.PROBLEMS if failed else ExitCode.OK
