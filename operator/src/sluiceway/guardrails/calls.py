"""What the source does with tasks: publishes them, tries them again, reads their results.

One walk over every file; what it sees of tasks comes out as frozen data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sluiceway.guardrails.facts import App, Task
from sluiceway.guardrails.source import Source
from sluiceway.guardrails.values import Names

_PUBLISHES = {"delay", "apply_async", "delay_on_commit", "apply_async_on_commit"}
_SIGNATURES = {"s", "si", "signature", "subtask", "map", "starmap", "chunks"}
_GROUPS = {"chord", "group", "chain", "chunks"}
_READS = {"get", "collect", "join", "wait", "iterate"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """A call that publishes a task, or makes a signature of it."""

    source: Source
    node: ast.Call
    task: Task
    args: tuple[ast.expr, ...]
    """What is handed to the task, by position or by name."""
    names: Names
    """What the names in it were assigned before."""
    in_transaction: bool
    signature: bool

    def option(self, name: str) -> ast.expr | None:
        """An option of ``apply_async``, such as ``countdown``."""
        return next((k.value for k in self.node.keywords if k.arg == name), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryCall:
    """``self.retry(…)`` in a task."""

    source: Source
    node: ast.Call
    task: Task
    names: Names


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadCall:
    """Somebody waits for the result of a task that was just published."""

    source: Source
    node: ast.Call
    task: Task
    inside: Task | None
    """The task that waits; None in other code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """A task's function in the source."""

    source: Source
    node: Function
    task: Task


@dataclass(kw_only=True, slots=True)
class Seen:
    """All of it, for all files."""

    publications: list[Publication] = field(default_factory=list)
    retries: list[RetryCall] = field(default_factory=list)
    reads: list[ReadCall] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    results_by_id: bool = False
    """Whether results are read by a task's id (AsyncResult), which may be any task's."""
    in_groups: set[str] = field(default_factory=set)
    """Names of tasks whose results Celery itself needs: members of chords, groups, chains."""
    stamps: bool = False
    """Whether something calls ``sluiceway_worker.stamp()``."""


def look(app: App, sources: Iterable[Source]) -> Seen:
    """Walk over the files once."""
    seen = Seen()
    by_function: dict[str, Task] = {task.function: task for task in app.tasks}
    by_name = {task.name: task for task in app.tasks}
    by_place = {(task.file, task.line): task for task in app.tasks}
    for source in sources:
        _Walk(source, seen, by_function, by_name, by_place).visit(source.tree)
    return seen


class _Walk(ast.NodeVisitor):
    def __init__(
        self,
        source: Source,
        seen: Seen,
        by_function: dict[str, Task],
        by_name: dict[str, Task],
        by_place: dict[tuple[Path | None, int], Task],
    ) -> None:
        self._source = source
        self._seen = seen
        self._by_function = by_function
        self._by_name = by_name
        self._by_place = by_place
        self._names: dict[str, ast.expr] = dict(source.constants)
        self._handles: dict[str, Task] = {}
        self._task: Task | None = None
        self._transactions = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: Function) -> None:
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        task = self._by_place.get((self._source.path, first))
        if task is not None:
            self._seen.bodies.append(Body(source=self._source, node=node, task=task))
        before = (self._names, self._handles, self._task, self._transactions)
        self._names, self._handles = dict(self._names), {}
        self._task = task or self._task
        atomic = any("atomic" in ast.unparse(one) for one in node.decorator_list)
        # A function inside is run later, such as by on_commit.
        self._transactions = int(atomic)
        self.generic_visit(node)
        self._names, self._handles, self._task, self._transactions = before

    def visit_Lambda(self, node: ast.Lambda) -> None:
        before, self._transactions = self._transactions, 0
        self.generic_visit(node)
        self._transactions = before

    def visit_With(self, node: ast.With) -> None:
        atomic = any("atomic(" in ast.unparse(one.context_expr) for one in node.items)
        for item in node.items:
            if isinstance(item.optional_vars, ast.Name):
                self._names[item.optional_vars.id] = item.context_expr
        self._transactions += atomic
        self.generic_visit(node)
        self._transactions -= atomic

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        match node.targets:
            case [ast.Name(id=name)]:
                self._names[name] = node.value
                task = self._published(node.value)
                if task is not None:
                    self._handles[name] = task
                else:
                    self._handles.pop(name, None)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = _name(node.func)
        if called == "AsyncResult":
            self._seen.results_by_id = True
        if called == "stamp":
            self._seen.stamps = True
        if called in _GROUPS:
            self._seen.in_groups |= {
                task.name
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute) and (task := self._task_of(inner.value))
            }
        if not isinstance(node.func, ast.Attribute):
            return
        if called in _PUBLISHES | _SIGNATURES or called == "send_task":
            self._publication(node, called)
        elif called == "retry" and self._task is not None:
            self._seen.retries.append(
                RetryCall(source=self._source, node=node, task=self._task, names=dict(self._names))
            )
        elif called in _READS:
            value = node.func.value
            read = self._published(value)
            if read is None and isinstance(value, ast.Name):
                read = self._handles.get(value.id)
            if read is not None:
                self._seen.reads.append(
                    ReadCall(source=self._source, node=node, task=read, inside=self._task)
                )

    def _publication(self, node: ast.Call, called: str) -> None:
        assert isinstance(node.func, ast.Attribute)
        args: Iterator[ast.expr]
        if called == "send_task":
            task = self._named(node)
            args = _given(node, after=1)
        else:
            task = self._task_of(node.func.value)
            args = _given(node, after=0) if called.startswith("apply_async") else _all(node)
        if task is not None:
            self._seen.publications.append(
                Publication(
                    source=self._source,
                    node=node,
                    task=task,
                    args=tuple(args),
                    names=dict(self._names),
                    in_transaction=self._transactions > 0 and not called.endswith("on_commit"),
                    signature=called in _SIGNATURES,
                )
            )

    def _published(self, node: ast.expr) -> Task | None:
        """The task that an expression publishes, such as ``export.delay(1)``."""
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _PUBLISHES:
                return self._task_of(value)
            case ast.Call(func=ast.Attribute(attr="send_task")):
                return self._named(node)
        return None

    def _named(self, node: ast.Call) -> Task | None:
        match node.args:
            case [ast.Constant(value=str() as name), *_]:
                return self._by_name.get(name)
        return None

    def _task_of(self, node: ast.expr) -> Task | None:
        return self._by_function.get(_name(node))


def _given(node: ast.Call, *, after: int) -> Iterator[ast.expr]:
    """What ``apply_async((1, 2), {"a": 3})`` hands to the task."""
    by_place = dict(zip(("args", "kwargs"), node.args[after:], strict=False))
    by_name = {str(one.arg): one.value for one in node.keywords if one.arg in ("args", "kwargs")}
    for one in (by_place | by_name).values():
        match one:
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(values=items):
                yield from items
            case _:
                yield one


def _all(node: ast.Call) -> Iterator[ast.expr]:
    yield from (one.value if isinstance(one, ast.Starred) else one for one in node.args)
    yield from (one.value for one in node.keywords)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
