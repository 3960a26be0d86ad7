"""`sluiceway check`: what is wrong with TaskQueues and WorkerClasses, without a cluster.

One line for each problem, so that editors and CI can point at it; one summary line.
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
from sluiceway.cli.output import CommandError, ExitCode, Output, to_json

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
    output: Annotated[Output, typer.Option("--output", "-o", help="Format.")] = Output.TEXT,
) -> None:
    """Check TaskQueues and WorkerClasses in files, as a cluster would and beyond.

    Exits with 0 when there is no problem, 1 when there is one (or no object at all), 2
    when a file cannot be read. Warnings change nothing.
    """
    paths = [*(files or ()), *(more or ())]
    if not paths:
        raise CommandError("say which files to check, such as: sluiceway check -f queues.yaml")
    report = _read_all(paths, in_cluster=not local)
    if output is Output.JSON:
        typer.echo(to_json(_as_data(report)))
    else:
        for line in report.unreadable:
            typer.echo(line)
        for document, problem in (*report.problems(), *report.advice()):
            typer.echo(document.line(problem))
        typer.echo(report.summary())
    raise typer.Exit(report.exit_code())


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
