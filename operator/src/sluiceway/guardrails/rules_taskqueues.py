"""Where TaskQueues and the application that they run say different things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.guardrails.case import Case, time
from sluiceway.guardrails.finding import Findings, Rule, Severity

DISAGREES = Rule(
    name="taskqueue-disagrees",
    severity=Severity.ERROR,
    title="A TaskQueue and the application name another layout of the broker",
    reason="the operator then reads other keys than the workers use, or trusts another time",
    mend="write the same in spec.broker and in broker_transport_options",
)
CUT_SHORT = Rule(
    name="longest-task",
    severity=Severity.ERROR,
    title="A task may run longer than its TaskQueue lets a leaving worker work",
    reason="a worker that has to go is ended by force before the task is done",
    mend="raise spec.worker.longestTask, or lower the task's time_limit",
)
UNSERVED = Rule(
    name="unserved-queue",
    severity=Severity.ERROR,
    title="Tasks are sent to a queue that no TaskQueue serves",
    reason="nobody takes them: they wait for ever",
    mend="add the queue to spec.queues of a TaskQueue, or route the task elsewhere",
)


def disagrees(case: Case) -> Findings:
    """The fields of ``spec.broker`` that repeat what the application says."""
    transport = case.app.transport
    for path, taskqueue in case.taskqueues:
        broker = taskqueue.spec.broker
        told: dict[str, tuple[Any, Any]] = {
            "visibilityTimeout": (
                None if broker.visibility_timeout is None else time(broker.visibility_timeout),
                time(case.app.visibility_timeout_s),
            ),
            "keyPrefix": (broker.key_prefix, transport.get("global_keyprefix") or ""),
            "prioritySteps": (
                list(broker.priority_steps),
                list(transport.get("priority_steps") or (0, 3, 6, 9)),
            ),
            "separator": (broker.separator, transport.get("sep") or "\x06\x16"),
        }
        for field, (ours, theirs) in told.items():
            if ours is not None and ours != theirs:
                yield DISAGREES.at(
                    path,
                    _line(path, taskqueue, field),
                    f"TaskQueue/{taskqueue.metadata.name}: spec.broker.{field} is {ours!r}, and "
                    f"the application has {theirs!r}",
                )


def cut_short(case: Case) -> Findings:
    """Each task's limit against ``longestTask`` of the fleet that runs it."""
    for path, taskqueue in case.taskqueues:
        longest = taskqueue.spec.worker.longest_task
        for task in case.own():
            limit = case.app.limit_of(task)
            if task.queue in taskqueue.queues and limit is not None and limit > longest:
                yield CUT_SHORT.at(
                    path,
                    _line(path, taskqueue, "longestTask"),
                    f"TaskQueue/{taskqueue.metadata.name}: spec.worker.longestTask is "
                    f"{time(longest)}, and {task.name} may run for {time(limit)}",
                    subject=task.name,
                )


def unserved(case: Case) -> Findings:
    """Queues of the application's tasks that no TaskQueue names."""
    if not case.taskqueues:
        return
    served = {queue for _, taskqueue in case.taskqueues for queue in taskqueue.queues}
    for task in case.own():
        if task.queue is not None and task.queue not in served:
            yield case.task(UNSERVED, task, f"{task.name} is sent to the queue {task.queue}")


def _line(path: Path, taskqueue: TaskQueue, field: str) -> int:
    """Where the field stands, or the object's name; 1 where neither is found."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 1
    name = taskqueue.metadata.name
    start = next((i for i, line in enumerate(lines) if f"name: {name}" in line), 0)
    for number, line in enumerate(lines[start:], start + 1):
        if line.startswith("---") and number > start + 1:
            break
        if f"{field}:" in line:
            return number
    return start + 1


RULES = {DISAGREES: disagrees, CUT_SHORT: cut_short, UNSERVED: unserved}
"""Each rule, and what looks for it."""
