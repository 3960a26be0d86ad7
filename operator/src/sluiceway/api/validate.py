"""Everything that is wrong with one object, at once and in the API server's order.

What flows through: an object as parsed YAML; defaults are filled in as in a cluster;
the models tell structural errors; the rules and the checks tell the rest. Local mode,
``sluiceway check`` and the operator all ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sluiceway.api.checks import ADVICE, CHECKS, Check
from sluiceway.api.problem import Problem, Why, child, related
from sluiceway.api.rule import nodes
from sluiceway.api.rules import RULES
from sluiceway.api.schema import structural_schema, with_defaults
from sluiceway.api.structure import nearest, structural_problems
from sluiceway.api.taskqueue import GROUP, VERSION, TaskQueue
from sluiceway.api.workerclass import WorkerClass

Object = TaskQueue | WorkerClass

MODELS: dict[str, type[TaskQueue] | type[WorkerClass]] = {
    "TaskQueue": TaskQueue,
    "WorkerClass": WorkerClass,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What there is to say of one object."""

    object: Object | None
    """The object as its model; None where it has problems."""
    problems: tuple[Problem, ...] = ()
    advice: tuple[Problem, ...] = ()
    """Allowed and probably not meant."""


def validate(obj: Mapping[str, Any], *, in_cluster: bool = False) -> list[Problem]:
    """Every problem of an object, in the order of structure, rules, checks.

    Args:
        obj: one object of ours as parsed YAML or JSON; a status in it is not looked at.
        in_cluster: also ask for what only a cluster needs, as an image.
    """
    return list(judge(obj, in_cluster=in_cluster).problems)


def judge(obj: Mapping[str, Any], *, in_cluster: bool = False) -> Verdict:
    """``validate``, with the object read and with advice. Arguments as there."""
    wrong_kind = _kind_problem(obj)
    if wrong_kind is not None:
        return Verdict(object=None, problems=(wrong_kind,))
    kind = obj["kind"]
    schema = structural_schema(kind)
    body = with_defaults(schema, {k: v for k, v in obj.items() if k != "status"})
    read, problems = _read(kind, body)
    malformed = [place for problem in problems for place in _places(problem)]

    for rule in RULES[kind]:
        if rule.cluster_only and not in_cluster:
            continue
        for path, node in nodes(body, rule.at):
            untold = malformed and any(
                related(p, place) for p in rule.paths_read(path) for place in malformed
            )
            if not untold and not rule.holds(node):
                problems.append(rule.problem(path, node))
    problems += _found(CHECKS[kind], body, malformed, in_cluster)
    advice = _found(ADVICE[kind], body, malformed, in_cluster)
    return Verdict(
        object=None if problems else read, problems=tuple(problems), advice=tuple(advice)
    )


def _read(kind: str, body: dict[str, Any]) -> tuple[Object | None, list[Problem]]:
    try:
        return MODELS[kind].from_outside(body), []
    except ValidationError as error:
        return None, structural_problems(error, structural_schema(kind))


def _found(
    checks: tuple[Check, ...], body: Any, malformed: list[str], in_cluster: bool
) -> Iterator[Problem]:
    for check in checks:
        if check.cluster_only and not in_cluster:
            continue
        for path, node in nodes(body, check.at):
            if not any(related(path, place) for place in malformed):
                yield from check.find(path, node)


def _places(problem: Problem) -> Iterator[str]:
    """The fields of which nothing more should be said: the malformed, and the meant one."""
    yield problem.path
    if problem.meant is not None and problem.why is Why.UNKNOWN:
        parent = problem.path.rpartition(".")[0]
        yield child(parent, problem.meant)


def _kind_problem(obj: Mapping[str, Any]) -> Problem | None:
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if kind is None:
        return Problem(
            path="kind", message="add kind: TaskQueue or kind: WorkerClass", why=Why.REQUIRED
        )
    if not isinstance(kind, str) or kind not in MODELS:
        meant = nearest(str(kind), MODELS)
        mend = f"did you mean {meant}?" if meant else f"write one of {', '.join(MODELS)}"
        return Problem(path="kind", message=f"{GROUP} has no such kind: {mend}", value=kind)
    if version is None:
        return Problem(
            path="apiVersion", message=f"add apiVersion: {GROUP}/{VERSION}", why=Why.REQUIRED
        )
    if version != f"{GROUP}/{VERSION}":
        return Problem(
            path="apiVersion",
            message=f"is not a version of {kind}: write {GROUP}/{VERSION}",
            value=version,
        )
    return None
