"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How much it matters, by SARIF's names."""

    ERROR = "error"
    """Tasks are lost, run twice, or never work."""
    WARNING = "warning"
    """They may be, on a bad day."""
    NOTE = "note"
    """A choice that nobody has made, or work for nobody."""

    @property
    def weight(self) -> int:
        """The larger the worse."""
        return {"error": 3, "warning": 2, "note": 1}[self.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One mistake that can be found."""

    name: str
    """As it is written in ``# sluiceway: ignore[name]``."""
    severity: Severity
    title: str
    """The mistake, in a few words."""
    reason: str
    """What goes wrong because of it."""
    mend: str
    """What to write instead."""

    def at(self, path: Path, line: int, what: str, *, subject: str = "") -> Finding:
        """A finding of this rule: ``what`` is the particular case, without reason and mend."""
        return Finding(rule=self, path=path, line=line, what=what, subject=subject)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One place where a rule is broken."""

    rule: Rule
    path: Path
    line: int
    what: str
    """The particular case: which task, setting, value."""
    subject: str = ""
    """The task's name, for accepting findings of one task; empty where there is none."""

    @property
    def message(self) -> str:
        """Case, reason and mend in one line."""
        return f"{self.what}: {self.rule.reason}: {self.rule.mend}"


Findings = Iterator[Finding]
