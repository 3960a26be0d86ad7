"""Mistakes that are in an application's settings."""

from __future__ import annotations

from sluiceway.guardrails.case import Case, time
from sluiceway.guardrails.finding import Finding, Findings, Rule, Severity

BROKER = Rule(
    name="broker-not-redis",
    severity=Severity.ERROR,
    title="The broker is not Redis",
    reason="Sluiceway reads the queues of Celery on Redis and of no other broker",
    mend="set broker_url to redis://, rediss:// or sentinel://",
)
VISIBILITY = Rule(
    name="visibility-timeout",
    severity=Severity.ERROR,
    title="A task may run longer than the visibility timeout",
    reason=(
        "a message that is not acknowledged by then is delivered once more, and the task runs twice"
    ),
    mend=(
        "set broker_transport_options = {'visibility_timeout': …} in seconds, well above the "
        "longest task, or lower the task's time_limit"
    ),
)
PICKLE = Rule(
    name="pickle",
    severity=Severity.ERROR,
    title="Pickled content is accepted or written",
    reason="whoever can write to the broker can run code in your workers",
    mend="use json for task_serializer, result_serializer and accept_content, and pass ids",
)
RESULTS_STAY = Rule(
    name="results-stay",
    severity=Severity.ERROR,
    title="Results never expire",
    reason="every result stays in the backend's memory for ever, until Redis is full",
    mend="set result_expires to what readers need, such as 3600",
)
EAGER = Rule(
    name="always-eager",
    severity=Severity.ERROR,
    title="Tasks run where they are called",
    reason="nothing is published: the web does the work inside its requests",
    mend="remove task_always_eager outside of tests",
)
PREFETCH = Rule(
    name="prefetch",
    severity=Severity.WARNING,
    title="Workers take more messages than they can run",
    reason="messages that wait in a busy worker are those that an idle worker cannot have",
    mend="set worker_prefetch_multiplier = 1, or leave it out: sluiceway-worker sets it",
)
ACKS_NOT_CHOSEN = Rule(
    name="acks-not-chosen",
    severity=Severity.NOTE,
    title="Nobody has said when a message is acknowledged",
    reason=("Celery acknowledges before the run, so a worker that is killed takes its tasks along"),
    mend=(
        "set task_acks_late = True and task_reject_on_worker_lost = True if tasks bear being run "
        "twice, or task_acks_late = False to say that they do not"
    ),
)
LOST_ON_KILL = Rule(
    name="acks-late-lost",
    severity=Severity.WARNING,
    title="Late acknowledgement, and yet lost with its process",
    reason=(
        "when a task's process is killed, as for too much memory, Celery acknowledges the "
        "message all the same"
    ),
    mend="set task_reject_on_worker_lost = True beside task_acks_late",
)
BEAT_UNKNOWN = Rule(
    name="beat-unknown-task",
    severity=Severity.ERROR,
    title="Beat's schedule names a task that does not exist",
    reason="each message of it is refused and thrown away by the worker",
    mend="write the task's full name, as in `celery inspect registered`",
)


def broker(case: Case) -> Findings:
    """Every other rule speaks of Redis. What is not set comes from the workers' environment."""
    scheme = case.app.broker
    if scheme is not None and scheme not in ("redis", "rediss", "sentinel", "redis+socket", "unix"):
        yield case.setting(BROKER, ("broker_url",), f"broker_url is {scheme}://")


def visibility(case: Case) -> Findings:
    """The longest task against the visibility timeout, for tasks that are acknowledged late."""
    timeout = case.app.visibility_timeout_s
    given = "visibility_timeout" in case.app.transport
    for task in case.own():
        limit = case.app.limit_of(task)
        if task.acks_late and limit is not None and limit >= timeout:
            whose = "" if given else ", Celery's default"
            yield case.task(
                VISIBILITY,
                task,
                f"{task.name} may run for {time(limit)}, and the visibility timeout is "
                f"{time(timeout)}{whose}",
            )


def pickle(case: Case) -> Findings:
    """Serializers that run code, in the settings and of single tasks."""
    for setting in ("accept_content", "task_serializer", "result_serializer"):
        value = case.app.settings.get(setting) or ()
        for one in (value,) if isinstance(value, str) else value:
            if _runs_code(one):
                yield case.setting(PICKLE, (setting,), f"{setting} has {one}")
    for task in case.own():
        if _runs_code(task.serializer) and task.serializer != case.app.settings["task_serializer"]:
            yield case.task(PICKLE, task, f"{task.name} has serializer {task.serializer}")


def _runs_code(name: str | None) -> bool:
    return name in ("pickle", "application/x-python-serialize")


def results_stay(case: Case) -> Findings:
    """Only where results are kept at all."""
    if case.app.backend is not None and not case.app.settings.get("result_expires"):
        yield case.setting(
            RESULTS_STAY,
            ("result_expires", "task_result_expires"),
            f"result_expires is {case.app.settings.get('result_expires')}",
        )


def eager(case: Case) -> Findings:
    """A setting for tests that stayed."""
    if case.app.settings.get("task_always_eager"):
        yield case.setting(EAGER, ("task_always_eager", "always_eager"), "task_always_eager is set")


def prefetch(case: Case) -> Findings:
    """Only what the application sets itself: the default is replaced by ours."""
    name = "worker_prefetch_multiplier"
    value = case.app.settings.get(name)
    if name in case.app.given and value != 1:
        said = "0, which is without limit" if value == 0 else str(value)
        yield case.setting(PREFETCH, (name, "celeryd_prefetch_multiplier"), f"{name} is {said}")


def acks(case: Case) -> Findings:
    """Whether somebody chose, and whether the choice holds when a process is killed."""
    if "task_acks_late" not in case.app.given:
        silent = [task.name for task in case.own() if not task.acks_late]
        if silent:
            yield case.setting(ACKS_NOT_CHOSEN, ("task_acks_late",), "task_acks_late is not set")
    late = [task for task in case.own() if task.acks_late and not task.reject_on_worker_lost]
    if case.app.settings.get("task_acks_late") and late:
        yield case.setting(LOST_ON_KILL, ("task_acks_late",), "task_acks_late is set alone")
        return
    for task in late:
        yield case.task(LOST_ON_KILL, task, f"{task.name} has acks_late alone")


def beat(case: Case) -> Findings:
    """Names in the schedule that no task has."""
    known = {task.name for task in case.app.tasks}
    for entry, name in case.app.schedule:
        if name not in known and not name.startswith("celery."):
            yield _at_entry(case, entry, f"the entry {entry} names {name}")


def _at_entry(case: Case, entry: str, what: str) -> Finding:
    return case.setting(BEAT_UNKNOWN, (entry, "beat_schedule", "celerybeat_schedule"), what)


RULES = {
    BROKER: broker,
    VISIBILITY: visibility,
    PICKLE: pickle,
    RESULTS_STAY: results_stay,
    EAGER: eager,
    PREFETCH: prefetch,
    ACKS_NOT_CHOSEN: acks,
    LOST_ON_KILL: None,
    BEAT_UNKNOWN: beat,
}
"""Each rule, and what looks for it; None where the one above looks for both."""
