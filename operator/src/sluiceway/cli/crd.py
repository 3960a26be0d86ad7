"""`sluiceway crd`: the CustomResourceDefinitions, printed or written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluiceway.api.crd import crds
from sluiceway.cli.output import CommandError


def crd(
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", help="Write one file for each CRD into this folder."),
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply -f -`, or write them to files."""
    texts = crds()
    if output_dir is None:
        typer.echo("---\n".join(texts.values()), nl=False)
        return
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = output_dir / f"{name}.yaml"
            path.write_text(text, encoding="utf-8")
            typer.echo(path)
    except OSError as error:
        raise CommandError(f"{error.filename}: cannot be written: {error.strerror}") from error
