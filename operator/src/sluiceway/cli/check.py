"""`sluiceway check`: what is wrong with TaskQueues, and with the application they run.

One line for each problem, so that editors and CI can point at it; one summary line. The
application's part is in ``check_app``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from sluiceway.api.load import Document, UnreadableError, read
from sluiceway.api.problem import Problem
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.cli.check_app import AppOptions, Format, check_app
from sluiceway.cli.output import CommandError, ExitCode, to_json
from sluiceway.guardrails.finding import Severity

_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found in all files."""

    documents: list[Document] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def ours(self) -> list[Document]:
        """The documents that are for Sluiceway."""
        return [document for document in self.documents if document.ours]

    def problems(self) -> Iterator[tuple[Document, Problem]]:
        """Every problem with its document."""
        return ((d, problem) for d in self.documents for problem in d.verdict.problems)

    def advice(self) -> Iterator[tuple[Document, Problem]]:
        """Everything allowed and probably not meant, with its document."""
        return ((d, problem) for d in self.documents for problem in d.verdict.advice)

    def skipped(self) -> Counter[str]:
        """How many documents of which other kinds were left alone."""
        return Counter(document.kind for document in self.documents if not document.ours)

    def exit_code(self) -> ExitCode:
        """A file that cannot be read weighs more than an object with problems."""
        if self.unreadable:
            return ExitCode.USAGE
        return ExitCode.PROBLEMS if any(self.problems()) or not self.ours else ExitCode.OK

    def summary(self) -> str:
        """One line: how many objects, problems and warnings, and what was left alone."""
        if not self.ours and not self.unreadable:
            counts = "no TaskQueue or WorkerClass found"
        else:
            counts = ", ".join(
                (
                    _count(len(self.ours), "object"),
                    _count(len(list(self.problems())), "problem"),
                    _count(len(list(self.advice())), "warning"),
                )
            )
        if self.unreadable:
            counts += f", {_count(len(self.unreadable), 'unreadable file')}"
        skipped = ", ".join(f"{number} {kind}" for kind, number in self.skipped().items())
        return f"{counts}; not looked at: {skipped}" if skipped else counts


def check(
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="More files.")] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            help="A file, a folder of YAML files, or - for standard input; may be repeated.",
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="For local mode: what only a cluster needs may be missing."),
    ] = False,
    app: Annotated[
        str | None,
        typer.Option("-A", "--app", help="Check a Celery application, named as for celery -A."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="The Python that has the application. Default: the one that runs this."),
    ] = None,
    workdir: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder in which the application is found, and the base of told paths.",
        ),
    ] = Path(),
    source: Annotated[
        list[Path] | None,
        typer.Option(help="More code that publishes its tasks: a file or folder; may be repeated."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE[:PATTERN]",
            help="Accept what a rule finds, everywhere or for tasks or files; may be repeated.",
        ),
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option(help="With -A: the least severity that makes the exit code 1.")
    ] = Severity.ERROR,
    output: Annotated[
        Format,
        typer.Option("--output", "--format", "-o", help="Format; sarif and junit with -A only."),
    ] = Format.TEXT,
) -> None:
    """Check TaskQueues and WorkerClasses in files, and the Celery application that they run.

    With -f: as a cluster would, and beyond. With -A: settings, tasks and code for what
    loses, repeats or holds up tasks; a comment `# sluiceway: ignore[rule]` accepts a line,
    `ignore` of [tool.sluiceway.check] in pyproject.toml more. With both: also where the two
    say different things.

    Exits with 0 when there is no problem, 1 when there is one (or no object at all), 2
    when a file or the application cannot be read. Warnings change nothing, unless
    --fail-on says so.
    """
    paths = [*(files or ()), *(more or ())]
    if not paths and app is None:
        raise CommandError(
            "say what to check, such as: sluiceway check -f queues.yaml, or: sluiceway check -A app"
        )
    if app is None and output not in (Format.TEXT, Format.JSON):
        raise CommandError(f"--output {output} needs -A: files are told as text or json")
    report = _read_all(paths, in_cluster=not local)
    code = ExitCode.OK
    if paths and (app is None or any(report.problems()) or report.unreadable or not report.ours):
        code = report.exit_code()
        _tell(report, output)
    if app is not None and code is ExitCode.OK:
        options = AppOptions(
            app=app,
            python=python,
            workdir=workdir,
            sources=tuple(source or ()),
            ignore=tuple(ignore or ()),
            fail_on=fail_on,
            format=output,
        )
        code = check_app(options, _taskqueues(report))
    raise typer.Exit(code)


def _taskqueues(report: Report) -> Iterator[tuple[Path, TaskQueue]]:
    for document in report.ours:
        if isinstance(document.verdict.object, TaskQueue):
            yield Path(document.source), document.verdict.object


def _tell(report: Report, output: Format) -> None:
    if output is Format.JSON:
        typer.echo(to_json(_as_data(report)))
        return
    # A report that is to be read by a program is no place for these lines.
    aside = output is not Format.TEXT
    for line in report.unreadable:
        typer.echo(line, err=aside)
    for document, problem in (*report.problems(), *report.advice()):
        typer.echo(document.line(problem), err=aside)
    typer.echo(report.summary(), err=aside)


def _read_all(paths: list[Path], *, in_cluster: bool) -> Report:
    report = Report()
    for path in paths:
        for file in _files_of(path):
            try:
                if file == Path("-"):
                    report.documents.extend(
                        read(sys.stdin.read(), in_cluster=in_cluster, name="<stdin>")
                    )
                else:
                    report.documents.extend(read(file, in_cluster=in_cluster))
            except UnreadableError as error:
                report.unreadable.append(str(error))
    return report


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "objects": len(report.ours),
        "problems": [_entry(*found) for found in report.problems()],
        "warnings": [_entry(*found) for found in report.advice()],
        "unreadable": report.unreadable,
        "skipped": dict(report.skipped()),
    }


def _entry(document: Document, problem: Problem) -> dict[str, Any]:
    return {
        "file": document.source,
        "object": document.name,
        "path": problem.path,
        "why": problem.why,
        "value": problem.value,
        "message": problem.message,
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
