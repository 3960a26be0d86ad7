"""What all commands share: how they fail, and how they write JSON."""

from __future__ import annotations

import dataclasses
import json
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import typer


class ExitCode(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    PROBLEMS = 1
    """It ran, and found what it looks for: invalid objects, a lost task."""
    USAGE = 2
    """Wrong options, or a file that cannot be read or is not valid."""
    UNAVAILABLE = 3
    """Something that it needs is not there: no running local mode, no server, no cluster."""


EXIT_CODES = (
    "Exit codes: 0 done; 1 it found problems (an invalid object, a lost task); 2 wrong "
    "options, or a file that cannot be read; 3 something that it needs is not there "
    "(a running local mode, a server, a cluster); 130 ended by Ctrl-C (local: by a second one)."
)


class Output(StrEnum):
    """For people or for programs."""

    TEXT = "text"
    JSON = "json"


class CommandError(Exception):
    """What a user can mend: told in one line, without a traceback."""

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code


def to_json(value: Any) -> str:
    """One line of JSON of frozen data: dataclasses become objects, enums their values."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Dataclasses, tuples and enums as what JSON has for them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def make_folder(option: str, folder: Path) -> None:
    """Have a folder to write to before any work is done for it.

    Raises:
        CommandError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CommandError(
            f"{option} {folder}: cannot be made: {exc.strerror}; name a folder that can be "
            "written to",
            ExitCode.UNAVAILABLE,
        ) from exc


def complain(message: str) -> None:
    """Say one line of trouble on standard error."""
    typer.echo(f"sluiceway: {message}", err=True)
