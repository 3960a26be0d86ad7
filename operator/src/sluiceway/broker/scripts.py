"""The read scripts, and how a call of one is put to a server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

Argument = str | bytes | int | float
Command = tuple[Argument, ...]
"""A Redis command and its arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A Lua script that only reads."""

    source: str = field(repr=False)
    sha: str

    @classmethod
    def load(cls, name: str) -> Script:
        """The script of that name beside this module."""
        source = files("sluiceway.broker").joinpath("lua", f"{name}.lua").read_text("utf-8")
        return cls(source=source, sha=hashlib.sha1(source.encode()).hexdigest())


READ_QUEUES = Script.load("read_queues")
READ_WORKERS = Script.load("read_workers")
READ_HELD = Script.load("read_held")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptCall:
    """One call of a script. All it needs is in ``args``: it declares no keys."""

    script: Script
    args: Command

    def by_sha(self, *, read_only: bool) -> Command:
        """How it is called where the server knows the script already."""
        return ("EVALSHA_RO" if read_only else "EVALSHA", self.script.sha, 0, *self.args)

    def in_full(self, *, read_only: bool) -> Command:
        """How it is called for the first time; the server keeps it."""
        return ("EVAL_RO" if read_only else "EVAL", self.script.source, 0, *self.args)
