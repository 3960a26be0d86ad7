"""What every rule is given, and the words that several of them need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluiceway.api.duration import format_duration
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.guardrails.calls import Seen
from sluiceway.guardrails.facts import App, Task
from sluiceway.guardrails.finding import Finding, Rule
from sluiceway.guardrails.source import Source, where_made, where_set


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """The application, its source, what is seen in it, and the TaskQueues that serve it."""

    app: App
    sources: tuple[Source, ...]
    seen: Seen
    taskqueues: tuple[tuple[Path, TaskQueue], ...] = ()
    """Each with the file that it stands in."""

    def own(self) -> Iterator[Task]:
        """The tasks whose code is the application's, not an installed package's."""
        files = {source.path for source in self.sources}
        return (task for task in self.app.tasks if task.file in files)

    def setting(self, rule: Rule, names: tuple[str, ...], what: str) -> Finding:
        """A finding at the place where a setting is written, or where the app is made."""
        # The application's own module first: others may use the same words for their own ends.
        ordered = sorted(self.sources, key=lambda source: source.path != self.app.main)
        place = where_set(ordered, *names) or where_made(ordered, self.app)
        return rule.at(*place, what)

    def task(self, rule: Rule, task: Task, what: str) -> Finding:
        """A finding at a task's definition."""
        return rule.at(task.file or Path(self.app.name), task.line, what, subject=task.name)


def in_source(rule: Rule, source: Source, node: ast.expr, what: str, task: Task) -> Finding:
    """A finding at a call that concerns a task."""
    return rule.at(source.path, node.lineno, what, subject=task.name)


def time(seconds: float) -> str:
    """As TaskQueues write it: 90s, 2h."""
    return format_duration(float(seconds))
