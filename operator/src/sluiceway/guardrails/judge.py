"""All rules over one application, and what of it the application accepts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.guardrails import rules_calls, rules_settings, rules_taskqueues, rules_tasks
from sluiceway.guardrails.calls import look
from sluiceway.guardrails.case import Case
from sluiceway.guardrails.facts import App
from sluiceway.guardrails.finding import Finding, Findings, Rule
from sluiceway.guardrails.source import Source

_FINDERS: dict[Rule, Callable[[Case], Findings] | None] = {
    **rules_settings.RULES,
    **rules_tasks.RULES,
    **rules_calls.RULES,
    **rules_taskqueues.RULES,
}
RULES: dict[str, Rule] = {rule.name: rule for rule in _FINDERS}
"""Every rule by its name, in the order in which they are told."""


class AcceptError(Exception):
    """What is to be accepted cannot be meant; one sentence says what to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What was found, and what of it the application accepts."""

    app: App
    files: int
    findings: tuple[Finding, ...]
    """The worst first within a file, files by name."""
    accepted: tuple[Finding, ...]


def judge(
    app: App,
    sources: tuple[Source, ...],
    *,
    taskqueues: Iterable[tuple[Path, TaskQueue]] = (),
    accept: Iterable[str] = (),
) -> Judgement:
    """Apply every rule.

    Args:
        taskqueues: those that may serve the application, each with its file.
        accept: ``rule`` or ``rule:pattern``, where the pattern is of a task's name or a path.

    Raises:
        AcceptError: a name in ``accept``, or in a comment, is no rule's.
    """
    accept = tuple(accept)
    for one in accept:
        _must_be_rule(one.partition(":")[0], "ignore")
    for source in sources:
        for line, names in source.accepted.items():
            for name in sorted(names):
                _must_be_rule(name, f"{source.path}:{line}")
    case = Case(
        app=app,
        sources=sources,
        seen=look(app, sources),
        taskqueues=tuple(
            (path, taskqueue)
            for path, taskqueue in taskqueues
            if taskqueue.spec.worker.app in (None, app.name)
        ),
    )
    found = {finding for finder in _FINDERS.values() if finder for finding in finder(case)}
    ordered = sorted(
        found,
        key=lambda one: (str(one.path), one.line, -one.rule.severity.weight, one.message),
    )
    by_path = {source.path: source for source in sources}
    accepted = tuple(one for one in ordered if _is_accepted(one, by_path, accept))
    return Judgement(
        app=app,
        files=len(sources),
        findings=tuple(one for one in ordered if one not in accepted),
        accepted=accepted,
    )


def _must_be_rule(name: str, where: str) -> None:
    # A slip would accept nothing, and be found only by whoever wonders why.
    if name not in RULES:
        raise AcceptError(f"{where}: there is no rule {name}: write one of {', '.join(RULES)}")


def _is_accepted(one: Finding, sources: dict[Path, Source], accept: tuple[str, ...]) -> bool:
    for entry in accept:
        name, _, pattern = entry.partition(":")
        if name == one.rule.name and (
            not pattern
            or fnmatchcase(one.subject, pattern)
            or fnmatchcase(one.path.as_posix(), f"*{pattern}")
        ):
            return True
    source = sources.get(one.path)
    return source is not None and one.rule.name in source.accepted.get(one.line, ())


def accepted_in(folder: Path) -> tuple[str, ...]:
    """``ignore`` of ``[tool.sluiceway.check]`` in the folder's pyproject.toml.

    Raises:
        AcceptError: it is no TOML, or no list of texts.
    """
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        tools = tomllib.loads(text).get("tool", {})
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AcceptError(f"{folder / 'pyproject.toml'}: cannot be read: {error}") from error
    ignore = tools.get("sluiceway", {}).get("check", {}).get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(one, str) for one in ignore):
        raise AcceptError(
            f"{folder / 'pyproject.toml'}: tool.sluiceway.check.ignore is {ignore!r}: write a "
            'list of texts such as ["no-time-limit:shop.tasks.*"]'
        )
    return tuple(ignore)
