"""Mistakes that are in how tasks are defined."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sluiceway.guardrails.calls import Body
from sluiceway.guardrails.case import Case, in_source, time
from sluiceway.guardrails.facts import CELERYS_BACKOFF_MAX_S
from sluiceway.guardrails.finding import Findings, Rule, Severity
from sluiceway.guardrails.values import seconds

NO_LIMIT = Rule(
    name="no-time-limit",
    severity=Severity.WARNING,
    title="A task has no time limit",
    reason=(
        "one that hangs keeps its slot for ever, and a worker that has to go waits for it until "
        "it is ended by force"
    ),
    mend="set task_soft_time_limit and task_time_limit, or soft_time_limit and time_limit for it",
)
SOFT_ABOVE_HARD = Rule(
    name="soft-limit-above-hard",
    severity=Severity.ERROR,
    title="The soft time limit is not below the hard one",
    reason="the process is ended before the task can clean up",
    mend="set soft_time_limit some seconds below time_limit",
)
NO_BACKOFF = Rule(
    name="retry-without-backoff",
    severity=Severity.WARNING,
    title="A retry waits the same time each time",
    reason="a service that is down is asked by all tasks at the same pace until it gives up again",
    mend=(
        "use autoretry_for with retry_backoff=True and retry_jitter=True, or a countdown that "
        "grows with self.request.retries"
    ),
)
FOREVER = Rule(
    name="retry-forever",
    severity=Severity.WARNING,
    title="A task is tried again without end",
    reason="what can never succeed comes back for ever, and the fleet never rests",
    mend="set max_retries",
)
RETRIES_BUGS = Rule(
    name="retry-on-everything",
    severity=Severity.NOTE,
    title="Every error is tried again",
    reason="a bug is no trouble that passes: it is run again and found later",
    mend="name in autoretry_for what passes, such as ConnectionError and TimeoutError",
)
OBJECT_PARAMETER = Rule(
    name="object-parameter",
    severity=Severity.WARNING,
    title="A task takes an object",
    reason="it cannot be written as JSON, or it is old when the task runs",
    mend="take its id, and read what is true when the task runs",
)
BYTES_PARAMETER = Rule(
    name="bytes-parameter",
    severity=Severity.WARNING,
    title="A task takes the bytes of a file",
    reason="they wait in Redis' memory, once for each message, and are copied at every step",
    mend="store the file, and pass its key",
)
RESULT_UNREAD = Rule(
    name="result-unread",
    severity=Severity.NOTE,
    title="A result is kept that nobody reads",
    reason="each run writes to the backend for nobody",
    mend="set ignore_result=True",
)

_PLAIN = {
    "str", "int", "float", "bool", "None", "dict", "list", "tuple", "Any", "object", "Optional",
    "Union", "Literal", "Annotated", "Dict", "List", "Tuple", "Sequence", "Mapping", "Iterable",
    "MutableMapping", "Collection", "TypedDict", "Decimal", "UUID", "datetime", "date", "time",
    "Self", "T", "Task", "JSON", "Json", "Ellipsis", "Required", "NotRequired", "Unpack", "Final",
}  # fmt: skip
_IDS = ("Id", "ID", "Key", "Name", "Json", "JSON", "Dict", "Payload", "Kind", "Slug", "Url", "URL")
_BYTES = {"bytes", "bytearray", "memoryview", "BinaryIO", "BytesIO", "IO"}


def limits(case: Case) -> Findings:
    """A limit of any kind, and the soft one below the hard one."""
    for task in case.own():
        if case.app.limit_of(task) is None:
            yield case.task(NO_LIMIT, task, f"{task.name} has no time limit")
        soft = task.soft_time_limit or case.app.settings.get("task_soft_time_limit")
        hard = task.time_limit or case.app.settings.get("task_time_limit")
        if soft and hard and soft >= hard:
            yield case.task(
                SOFT_ABOVE_HARD,
                task,
                f"{task.name} has a soft limit of {time(soft)} and a hard one of {time(hard)}",
            )


def retries(case: Case) -> Findings:
    """Pace and end of retries, by option and by ``self.retry``."""
    called = {call.task.name for call in case.seen.retries}
    for task in case.own():
        if not task.autoretry_for and task.name not in called:
            continue
        if task.max_retries is None:
            yield case.task(FOREVER, task, f"{task.name} has max_retries=None")
        if task.autoretry_for and not task.retry_backoff:
            yield case.task(NO_BACKOFF, task, f"{task.name} has autoretry_for alone")
        if "Exception" in task.autoretry_for or "BaseException" in task.autoretry_for:
            yield case.task(RETRIES_BUGS, task, f"{task.name} has autoretry_for=(Exception,)")
    for call in case.seen.retries:
        countdown = next((k.value for k in call.node.keywords if k.arg == "countdown"), None)
        eta = any(k.arg == "eta" for k in call.node.keywords)
        fixed = seconds(countdown, call.names)
        if (countdown is None and not eta) or fixed is not None:
            waits = time(call.task.default_retry_delay or 180.0 if fixed is None else fixed)
            yield in_source(
                NO_BACKOFF,
                call.source,
                call.node,
                f"{call.task.name} retries every {waits}",
                call.task,
            )


def longest_retry(task_backoff: bool | float | None, most: float | None, retries: int) -> float:
    """The longest wait of ``retry_backoff``: base · 2ⁿ, bounded by ``retry_backoff_max``."""
    base = 1.0 if task_backoff is True else float(task_backoff or 0)
    return min(most or CELERYS_BACKOFF_MAX_S, base * 2.0 ** min(retries, 32))


def parameters(case: Case) -> Findings:
    """Annotations that are no plain data; Celery's pydantic option makes models plain."""
    for body in case.seen.bodies:
        for parameter in _parameters(body):
            named = set(_names(parameter.annotation))
            if named & _BYTES:
                rule, what = BYTES_PARAMETER, sorted(named & _BYTES)[0]
            else:
                objects = [name for name in sorted(named) if _is_object(name)]
                if not objects or body.task.pydantic:
                    continue
                rule, what = OBJECT_PARAMETER, objects[0]
            yield rule.at(
                body.source.path,
                parameter.lineno,
                f"{body.task.name} takes {parameter.arg}: {what}",
                subject=body.task.name,
            )


def _is_object(name: str) -> bool:
    return name[:1].isupper() and name not in _PLAIN and not name.endswith(_IDS)


def _parameters(body: Body) -> Iterator[ast.arg]:
    args = body.node.args
    yield from (a for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg != "self")


def _names(node: ast.expr | None) -> Iterator[str]:
    if node is None:
        return
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.Constant(value=str() as text) if text.isidentifier():
                yield text


def results(case: Case) -> Findings:
    """Tasks that give nothing back, and tasks of code that reads no result at all."""
    if case.app.backend is None:
        return
    read = {call.task.name for call in case.seen.reads} | case.seen.in_groups
    for body in case.seen.bodies:
        task = body.task
        if task.ignore_result or task.name in read:
            continue
        if not _returns_something(body.node):
            yield case.task(RESULT_UNREAD, task, f"{task.name} returns nothing")
        elif not case.seen.results_by_id:
            yield case.task(RESULT_UNREAD, task, f"no result of {task.name} is read")


def _returns_something(node: ast.AST) -> bool:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        match inner:
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                return True
        if _returns_something(inner):
            return True
    return False


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


RULES = {
    NO_LIMIT: limits,
    SOFT_ABOVE_HARD: None,
    NO_BACKOFF: retries,
    FOREVER: None,
    RETRIES_BUGS: None,
    OBJECT_PARAMETER: parameters,
    BYTES_PARAMETER: None,
    RESULT_UNREAD: results,
}
"""Each rule, and what looks for it; None where the one above looks for both."""
