"""The scripts, and how a call of one is put to a server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

Argument = str | bytes | int | float
Command = tuple[Argument, ...]
"""A Redis command and its arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A Lua script."""

    source: str = field(repr=False)
    sha: str
    reads_only: bool

    @classmethod
    def load(cls, name: str, *, reads_only: bool = True) -> Script:
        """The script of that name in this package."""
        source = files("sluiceway.broker").joinpath("lua", f"{name}.lua").read_text("utf-8")
        sha = hashlib.sha1(source.encode()).hexdigest()
        return cls(source=source, sha=sha, reads_only=reads_only)


READ_QUEUES = Script.load("read_queues")
READ_WORKERS = Script.load("read_workers")
READ_HELD = Script.load("read_held")
READ_PARKED = Script.load("read_parked")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptCall:
    """One call of a script. All it needs is in ``args``: it declares no keys."""

    script: Script
    args: Command

    def by_sha(self, *, has_read_only: bool) -> Command:
        """How it is called where the server knows the script already.

        Args:
            has_read_only: whether the server knows the commands for scripts that only
                read; they need no permission to write.
        """
        suffix = "_RO" if has_read_only and self.script.reads_only else ""
        return (f"EVALSHA{suffix}", self.script.sha, 0, *self.args)

    def in_full(self, *, has_read_only: bool) -> Command:
        """How it is called for the first time; the server keeps it."""
        suffix = "_RO" if has_read_only and self.script.reads_only else ""
        return (f"EVAL{suffix}", self.script.source, 0, *self.args)
