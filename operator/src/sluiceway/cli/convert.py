"""`sluiceway convert`: KEDA's ScaledObjects and HPAs as TaskQueues, on standard output."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluiceway.cli.output import CommandError, ExitCode, complain

if TYPE_CHECKING:
    from sluiceway.convert.result import Draft

_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What looking into an object raises that no API server would have taken."""


def convert(
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="More files.")] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            help="A file, or - for standard input; may be repeated.",
        ),
    ] = None,
) -> None:
    """Turn KEDA ScaledObjects and HPAs on Celery Deployments into TaskQueues.

    Give with them what they name: Deployments and TriggerAuthentications. The TaskQueues
    are written to standard output; what has no counterpart, and what is to be done by hand,
    stands in their comments and on standard error. Nothing in a cluster is touched.

    Exits with 0 when all was converted, 1 when something cannot be, 2 when a file cannot
    be read.
    """
    from sluiceway.convert.bundle import bundle_of
    from sluiceway.convert.hpa import convert_autoscaler
    from sluiceway.convert.keda import convert_scaled_object
    from sluiceway.convert.result import NotConvertibleError, name_of

    paths = [*(files or ()), *(more or ())]
    if not paths:
        raise CommandError("say what to convert, such as: sluiceway convert -f scaledobject.yaml")
    bodies = [body for path in paths for body in _read(path)]
    try:
        bundle = bundle_of(bodies)
    except _MISSHAPEN as error:
        raise CommandError(_misshapen("an object among the files", error)) from error
    if not bundle.scaled_objects and not bundle.autoscalers:
        raise CommandError("no ScaledObject and no HorizontalPodAutoscaler among the files")
    failed = False
    written: list[str] = []
    for convert_one, objects in (
        (convert_scaled_object, bundle.scaled_objects),
        (convert_autoscaler, bundle.autoscalers),
    ):
        for obj in objects:
            try:
                draft = convert_one(obj, bundle)
            except NotConvertibleError as error:
                complain(str(error))
                failed = True
                continue
            except _MISSHAPEN as error:
                named = f"{name_of(obj)}: it, or what it names,"
                complain(_misshapen(named, error))
                failed = True
                continue
            problems = _problems(draft)
            for line in (*problems, *draft.remarks):
                complain(f"{draft.source}: {line}")
            failed = failed or bool(problems)
            written.append(_text(draft))
    typer.echo("---\n".join(written), nl=False)
    raise typer.Exit(ExitCode.PROBLEMS if failed else ExitCode.OK)


def _read(path: Path) -> list[Any]:
    from sluiceway.api.load import UnreadableError, parse

    name = "<stdin>" if path == Path("-") else str(path)
    try:
        return parse(sys.stdin.read() if path == Path("-") else path.read_text("utf-8"), name)
    except OSError as error:
        raise CommandError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: cannot be read: it is not UTF-8 text") from error
    except UnreadableError as error:
        raise CommandError(str(error)) from error


def _misshapen(what: str, error: Exception) -> str:
    return (
        f"{what} has a field of a wrong type ({error}): ask kubectl apply --dry-run=server -f "
        "which, and correct it"
    )


def _problems(draft: Draft) -> list[str]:
    """What a cluster would refuse in the result: the original had it, too."""
    from sluiceway.api.validate import validate

    return [str(problem) for problem in validate(draft.body(), in_cluster=True)]


def _text(draft: Draft) -> str:
    import yaml

    lines = [f"Converted from {draft.source} by `sluiceway convert`."]
    for remark in draft.remarks:
        lines += textwrap.wrap(
            f"- {remark}", 98, subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    comments = "".join(f"# {line}\n" for line in lines)
    return comments + yaml.safe_dump(draft.body(), sort_keys=False, allow_unicode=True)
