"""Mistakes that are in how tasks are published, and in how their results are read."""

from __future__ import annotations

from sluiceway.guardrails.case import Case, in_source, time
from sluiceway.guardrails.facts import Task
from sluiceway.guardrails.finding import Findings, Rule, Severity
from sluiceway.guardrails.rules_tasks import longest_retry
from sluiceway.guardrails.values import seconds, why_big, why_object

BEYOND_VISIBILITY = Rule(
    name="eta-beyond-visibility",
    severity=Severity.WARNING,
    title="A task waits longer than the visibility timeout",
    reason=(
        "unless Sluiceway parks it, a worker holds it unacknowledged until it is due, and it is "
        "delivered once more, and run as often, each time that the visibility timeout passes"
    ),
    mend=(
        "set visibility_timeout above the longest wait, or write down when it is due and have "
        "Beat publish what has come due"
    ),
)
OBJECT_ARGUMENT = Rule(
    name="object-argument",
    severity=Severity.ERROR,
    title="An object is handed to a task",
    reason="it cannot be written as JSON, or it is old when the task runs",
    mend="pass its id, and read what is true when the task runs",
)
BIG_PAYLOAD = Rule(
    name="big-payload",
    severity=Severity.WARNING,
    title="The content of a file is handed to a task",
    reason="it waits in Redis' memory, once for each message, and is copied at every step",
    mend="store it, and pass its key",
)
IN_TRANSACTION = Rule(
    name="publish-in-transaction",
    severity=Severity.WARNING,
    title="A task is published before its data is committed",
    reason="a free worker starts it at once, and does not find the row",
    mend="use delay_on_commit, or transaction.on_commit(lambda: task.delay(…))",
)
IGNORED_READ = Rule(
    name="ignored-result-read",
    severity=Severity.ERROR,
    title="Somebody waits for a result that is not kept",
    reason="with ignore_result the answer is None, whatever the task returns",
    mend="remove ignore_result, or do not read it",
)
WAITS_IN_TASK = Rule(
    name="wait-in-task",
    severity=Severity.ERROR,
    title="A task waits for another task",
    reason="when every slot waits for a task that waits for a slot, nothing runs any more",
    mend="use a chain or a chord, or let the second task be published by the first",
)
NOT_STAMPED = Rule(
    name="not-stamped",
    severity=Severity.NOTE,
    title="Messages do not say when they were published",
    reason="how long the oldest task has waited is then a lower bound",
    mend="call sluiceway_worker.stamp() next to the Celery app",
)


def beyond_visibility(case: Case) -> Findings:
    """Countdown, ETA and retries that wait longer than a message may be held."""
    timeout = case.app.visibility_timeout_s
    tail = f"and the visibility timeout is {time(timeout)}"
    for published in case.seen.publications:
        for option in ("countdown", "eta"):
            wait = seconds(published.option(option), published.names)
            if wait is not None and wait >= timeout:
                yield in_source(
                    BEYOND_VISIBILITY,
                    published.source,
                    published.node,
                    f"{published.task.name} is published for {time(wait)} later, {tail}",
                    published.task,
                )
    for retry in case.seen.retries:
        for keyword in retry.node.keywords:
            wait = seconds(keyword.value, retry.names) if keyword.arg in ("countdown", "eta") else 0
            if wait is not None and wait >= timeout:
                yield in_source(
                    BEYOND_VISIBILITY,
                    retry.source,
                    retry.node,
                    f"{retry.task.name} retries {time(wait)} later, {tail}",
                    retry.task,
                )
    for task in case.own():
        wait = _longest_wait(task)
        if wait >= timeout:
            yield case.task(
                BEYOND_VISIBILITY, task, f"{task.name} retries up to {time(wait)} later, {tail}"
            )


def _longest_wait(task: Task) -> float:
    if not task.autoretry_for:
        return 0.0
    if not task.retry_backoff:
        return task.default_retry_delay or 0.0
    tries = 32 if task.max_retries is None else max(task.max_retries - 1, 0)
    return longest_retry(task.retry_backoff, task.retry_backoff_max, tries)


def arguments(case: Case) -> Findings:
    """Objects and whole files among what is handed over."""
    for published in case.seen.publications:
        for argument in published.args:
            for rule, why in (
                (BIG_PAYLOAD, why_big(argument, published.names)),
                (OBJECT_ARGUMENT, why_object(argument, published.names)),
            ):
                if why is not None:
                    yield in_source(
                        rule,
                        published.source,
                        argument,
                        f"{published.task.name} is handed {why}",
                        published.task,
                    )
                    break


def transactions(case: Case) -> Findings:
    """Published inside ``atomic``, and not by ``on_commit``."""
    for published in case.seen.publications:
        if published.in_transaction and not published.signature:
            yield in_source(
                IN_TRANSACTION,
                published.source,
                published.node,
                f"{published.task.name} is published inside a transaction",
                published.task,
            )


def reads(case: Case) -> Findings:
    """Waiting for results that are not kept, or inside a task."""
    for read in case.seen.reads:
        if read.task.ignore_result:
            yield in_source(
                IGNORED_READ,
                read.source,
                read.node,
                f"the result of {read.task.name} is read",
                read.task,
            )
        if read.inside is not None:
            yield in_source(
                WAITS_IN_TASK,
                read.source,
                read.node,
                f"{read.inside.name} waits for {read.task.name}",
                read.inside,
            )


def stamped(case: Case) -> Findings:
    """Once for the application."""
    if not case.seen.stamps and any(case.own()):
        yield case.setting(NOT_STAMPED, (), "nothing calls sluiceway_worker.stamp()")


RULES = {
    BEYOND_VISIBILITY: beyond_visibility,
    OBJECT_ARGUMENT: arguments,
    BIG_PAYLOAD: None,
    IN_TRANSACTION: transactions,
    IGNORED_READ: reads,
    WAITS_IN_TASK: None,
    NOT_STAMPED: stamped,
}
"""Each rule, and what looks for it; None where the one above looks for both."""
