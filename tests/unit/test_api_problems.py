"""What a user is told about a malformed object: where, what, and what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluiceway.api.validate import judge, validate

EVERYTHING = Path(__file__).parents[2] / "manifests" / "examples" / "everything.yaml"

HEAD = """
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: exports}
"""


def problems(text: str, *, in_cluster: bool = False) -> list[str]:
    return [str(problem) for problem in validate(yaml.safe_load(text), in_cluster=in_cluster)]


def spec(body: str) -> str:
    return f"{HEAD}spec:\n  worker: {{app: shop.tasks}}\n  {body}\n"


def scaling(body: str) -> str:
    return spec(f"scaling: {{{body}}}")


def worker(body: str) -> str:
    return f"{HEAD}spec: {{worker: {{{body}}}}}"


MALFORMED = {
    "a misspelt field": (
        scaling("minReplica: 3"),
        "spec.scaling.minReplica: Unknown field: did you mean minReplicas?",
    ),
    "a field in snake case": (
        scaling("min_replicas: 3"),
        "spec.scaling.min_replicas: Unknown field: did you mean minReplicas?",
    ),
    "a field that nothing resembles": (
        spec("broker: {hostname: redis}"),
        "spec.broker.hostname: Unknown field: write one of url, urlFrom, tls, masterName, "
        "keyPrefix, prioritySteps, separator, visibilityTimeout, or remove it",
    ),
    "a field at the wrong depth": (
        spec("maxReplicas: 3"),
        "spec.maxReplicas: Unknown field: write one of queues, broker, worker, scaling, or remove "
        "it",
    ),
    "a number in quotes": (
        scaling('maxReplicas: "40"'),
        'spec.scaling.maxReplicas: Invalid value: "40": must be a whole number, not text: write 40 '
        "without quotes",
    ),
    "half a worker": (
        scaling("maxReplicas: 2.5"),
        "spec.scaling.maxReplicas: Invalid value: 2.5: must be a whole number, not a number with a "
        "point: write a value of that kind",
    ),
    "a text without quotes": (
        worker("app: 12"),
        'spec.worker.app: Invalid value: 12: must be text, not a number: write "12" in quotes',
    ),
    "one queue as a text": (
        spec("queues: exports"),
        'spec.queues: Invalid value: "exports": must be a list, not text: write [exports]',
    ),
    "an object as a text": (
        spec("broker: redis://redis:6379/0"),
        'spec.broker: Invalid value: "redis://redis:6379/0": must be an object with members of its '
        "own, not text: write its members below it, indented",
    ),
    "a number below its bound": (
        scaling("minReplicas: -1"),
        "spec.scaling.minReplicas: Invalid value: -1: must be at least 0: raise it",
    ),
    "a number above its bound": (
        scaling("maxReplicas: 1000000"),
        "spec.scaling.maxReplicas: Invalid value: 1000000: must be at most 10000: lower it",
    ),
    "a pool that does not exist": (
        worker("app: a, pool: thread"),
        'spec.worker.pool: Invalid value: "thread": must be one of prefork, solo, threads, gevent: '
        "did you mean threads?",
    ),
    "an empty text": (
        worker('app: ""'),
        'spec.worker.app: Invalid value: "": must not be empty: write a value, or remove the field',
    ),
    "a bare number as a duration": (
        scaling("target: {maxWait: 30}"),
        "spec.scaling.target.maxWait: Invalid value: 30: is not a duration above zero: write whole "
        "numbers with the units h, m, s, ms in this order, such as 500ms, 30s or 1h30m",
    ),
    "a duration in days": (
        spec("broker: {visibilityTimeout: 1d}"),
        'spec.broker.visibilityTimeout: Invalid value: "1d": is not a duration above zero: write '
        "whole numbers with the units h, m, s, ms in this order, such as 500ms, 30s or 1h30m",
    ),
    "the smallest above the largest": (
        scaling("minReplicas: 50, maxReplicas: 40"),
        "spec.scaling.minReplicas: Invalid value: minReplicas (50) must not be above maxReplicas "
        "(40): lower minReplicas or raise maxReplicas",
    ),
    "no worker ever": (
        scaling("maxReplicas: 0"),
        "spec.scaling.maxReplicas: Invalid value: 0: must be at least 1, or nothing is ever done: "
        "raise it, or write paused: {replicas: 0} to stop the fleet for a while",
    ),
    "two targets": (
        scaling("target: {maxWait: 1s, backlogPerReplica: 3}"),
        "spec.scaling.target: Invalid value: write exactly one of maxWait, such as 30s, and "
        "backlogPerReplica, such as 10",
    ),
    "no application": (
        f"{HEAD}spec: {{}}",
        "spec.worker.app: Required value: write the Celery application as for celery -A, such as "
        "app: shop.tasks, or deploymentRef to scale a Deployment that exists already",
    ),
    "no spec": (
        HEAD,
        "spec: Required value: add spec: what the fleet serves, where, with what, and how many",
    ),
    "no name": (
        "apiVersion: sluiceway.dev/v1alpha1\nkind: TaskQueue\nmetadata: {}\n"
        "spec: {worker: {app: a}}",
        "metadata.name: Required value: add name, such as name: exports",
    ),
    "a name that Kubernetes does not take": (
        "apiVersion: sluiceway.dev/v1alpha1\nkind: TaskQueue\nmetadata: {name: Video_Queue}\n"
        "spec: {worker: {app: a}}",
        'metadata.name: Invalid value: "Video_Queue": must be lower-case letters, digits, dashes '
        "and dots: write video-queue",
    ),
    "a cron expression of four fields": (
        scaling('schedules: [{cron: "0 2 * *", duration: 1h, minReplicas: 1}]'),
        'spec.scaling.schedules[0].cron: Invalid value: "0 2 * *": must have five fields with a '
        "space between (minute, hour, day of the month, month, day of the week): write for example "
        '"0 2 * * *" for two at night',
    ),
    "an hour that does not exist": (
        scaling('schedules: [{cron: "0 25 * * *", duration: 1h, minReplicas: 1}]'),
        'spec.scaling.schedules[0].cron: Invalid value: "0 25 * * *": the hour cannot be read or '
        "never comes: write a number, a range 1-5, a list 1,3 or a step */15, as in "
        '"0 2 * * 1-5"',
    ),
    "a day that never comes": (
        scaling('schedules: [{cron: "0 2 31 2 *", duration: 1h, minReplicas: 1}]'),
        'spec.scaling.schedules[0].cron: Invalid value: "0 2 31 2 *": the day of the month cannot '
        "be read or never comes: write a number, a range 1-5, a list 1,3 or a step */15, as in "
        '"0 2 * * 1-5"',
    ),
    "a misspelt time zone": (
        scaling(
            'schedules: [{cron: "0 2 * * *", timezone: Europe/Pari, duration: 1h, minReplicas: 1}]'
        ),
        'spec.scaling.schedules[0].timezone: Invalid value: "Europe/Pari": is not a time zone of '
        "the IANA database: did you mean Europe/Paris?",
    ),
    "a schedule without a number": (
        scaling('schedules: [{cron: "0 2 * * *", duration: 1h}]'),
        "spec.scaling.schedules[0].minReplicas: Required value: add minReplicas, such as "
        "minReplicas: 5",
    ),
    "paused for a while": (
        scaling("paused: 2h"),
        'spec.scaling.paused: Invalid value: "2h": write true, false, or {replicas: 5} to hold the '
        "fleet at 5 workers",
    ),
    "paused at nothing": (
        scaling("paused: {}"),
        "spec.scaling.paused.replicas: Required value: add replicas",
    ),
    "paused at a text": (
        scaling("paused: {replicas: many}"),
        'spec.scaling.paused.replicas: Invalid value: "many": must be a whole number, not text: '
        "write a number",
    ),
    "a tolerance without quotes": (
        scaling("behavior: {scaleUp: {tolerance: 0.5}}"),
        "spec.scaling.behavior.scaleUp.tolerance: Invalid value: 0.5: is not a quantity: write a "
        "whole number such as 2, or in quotes a number with one of the suffixes m, k, M, G, T, Ki, "
        'Mi, Gi, Ti, such as "500m", "0.5" or "2Gi"',
    ),
    "no policy in the list": (
        scaling("behavior: {scaleUp: {policies: []}}"),
        "spec.scaling.behavior.scaleUp.policies: Invalid value: must have at least 1: add one, or "
        "remove the field",
    ),
    "a window of hours": (
        scaling("behavior: {scaleDown: {stabilizationWindowSeconds: 7200}}"),
        "spec.scaling.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 7200: must be "
        "at most 3600: lower it",
    ),
    "two addresses": (
        spec("broker: {url: redis://r, urlFrom: {env: CELERY_BROKER_URL}}"),
        "spec.broker.urlFrom: Forbidden: url and urlFrom exclude each other: remove one of them",
    ),
    "another broker, and its password stays secret": (
        spec("broker: {url: 'amqp://shop:hunter2@rabbit/shop'}"),
        'spec.broker.url: Invalid value: "amqp://***@rabbit/shop": must begin with redis://, '
        "rediss:// or sentinel://, because only Celery on Redis is served: write an address such "
        "as redis://redis:6379/0",
    ),
    "a cluster": (
        spec("broker: {url: 'redis+cluster://redis:6379'}"),
        'spec.broker.url: Invalid value: "redis+cluster://redis:6379": Celery does not run on '
        "Redis Cluster, whose nodes cannot take from several lists at once: use a single server, a "
        "primary with replicas, or Sentinel (sentinel://)",
    ),
    "a queue with commas": (
        spec('queues: ["a,b"]'),
        'spec.queues[0]: Invalid value: "a,b": is not the name of a queue: write each queue as an '
        "item of its own, without commas, control characters and spaces around it",
    ),
    "an empty item": (
        spec("queues: [a, ]\n  broker: {prioritySteps: [0, null]}"),
        "spec.broker.prioritySteps[1]: Invalid value: must be a whole number, not empty: write a "
        "value of that kind",
    ),
    "an image twice": (
        worker("app: a, image: i, like: {name: web}"),
        "spec.worker.image: Forbidden: like takes the image from another Deployment: remove image "
        "or like",
    ),
    "a deployment with an application": (
        worker("app: a, deploymentRef: {name: workers}"),
        "spec.worker.deploymentRef: Forbidden: a Deployment that exists already keeps its own "
        "pods: remove app, image, like, className, template, python and entrypoint, or "
        "deploymentRef",
    ),
    "a solo worker with four slots": (
        worker("app: a, pool: solo, concurrency: 4"),
        "spec.worker.concurrency: Invalid value: concurrency (4) must be 1 with pool solo, which "
        "runs one task at a time: remove it, or choose prefork, threads or gevent",
    ),
    "a death that is assumed after a second": (
        worker("app: a, unprovenDeathAfter: 1s"),
        'spec.worker.unprovenDeathAfter: Invalid value: "1s": must be at least 15s, or the tasks '
        "of a worker that is held up for a moment run twice: write 10m or more, so that a short "
        "outage is not taken for death",
    ),
    "a task longer than the visibility timeout": (
        f"{HEAD}spec: {{worker: {{app: a, longestTask: 2h}}, broker: {{visibilityTimeout: 1h}}}}",
        "spec.worker.longestTask: Invalid value: longestTask (2h) must be below "
        "broker.visibilityTimeout (1h), or a long task is delivered twice: raise visibilityTimeout "
        "here and in the application, or lower longestTask",
    ),
    "another version": (
        f"{HEAD}spec: {{worker: {{app: a}}}}".replace("v1alpha1", "v1"),
        'apiVersion: Invalid value: "sluiceway.dev/v1": is not a version of TaskQueue: write '
        "sluiceway.dev/v1alpha1",
    ),
    "a misspelt kind": (
        f"{HEAD}spec: {{worker: {{app: a}}}}".replace("TaskQueue", "TaskQeue"),
        'kind: Invalid value: "TaskQeue": sluiceway.dev has no such kind: did you mean TaskQueue?',
    ),
    "requests above limits": (
        "apiVersion: sluiceway.dev/v1alpha1\nkind: WorkerClass\nmetadata: {name: light}\n"
        "spec: {resources: {requests: {memory: 2Gi}, limits: {memory: 512Mi}}}",
        "spec.resources.requests[memory]: Invalid value: requests (2Gi) must not be above limits "
        "(512Mi): lower requests or raise limits",
    ),
    "a label that is no text": (
        "apiVersion: sluiceway.dev/v1alpha1\nkind: WorkerClass\nmetadata: {name: light}\n"
        "spec: {nodeSelector: {example.com/gpu: true}}",
        "spec.nodeSelector[example.com/gpu]: Invalid value: true: must be text, not true or false: "
        'write "true" in quotes',
    ),
}


@pytest.mark.parametrize(("text", "line"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_object_gets_one_line_with_the_place_and_the_mend(text: str, line: str) -> None:
    assert problems(text) == [line]


def test_all_problems_are_told_at_once() -> None:
    text = spec(
        'scaling: {minReplicas: 50, maxReplicas: 40, maxWait: 3s, cooldownPeriod: "60"}\n'
        "  broker: {url: http://redis}\n"
        "  queues: [a, a]"
    )

    assert [line.partition(":")[0] for line in problems(text)] == [
        "spec.scaling.cooldownPeriod",
        "spec.scaling.maxWait",
        "spec.queues",
        "spec.broker.url",
        "spec.scaling.minReplicas",
    ]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("minReplicas: '50', maxReplicas: 40", "spec.scaling.minReplicas"),
        ("target: {maxwait: 3s}", "spec.scaling.target.maxwait"),
        ("fallback: {behavior: static, replica: 3}", "spec.scaling.fallback.replica"),
        (
            "behavior: {scaleUp: {policies: [{type: Pods, value: 0, periodSeconds: 15}]}}",
            "spec.scaling.behavior.scaleUp.policies[0].value",
        ),
    ],
)
def test_one_slip_is_told_once(body: str, line: str) -> None:
    (problem,) = problems(scaling(body))

    assert problem.startswith(f"{line}: ")


def test_an_image_is_asked_for_only_where_there_is_a_cluster() -> None:
    text = spec("queues: [a]")

    assert problems(text) == []
    (line,) = problems(text, in_cluster=True)
    assert line.startswith("spec.worker.image: Required value: workers in a cluster need an image")


@pytest.mark.parametrize("field", ["scaling", "broker", "queues"])
def test_a_field_without_a_value_counts_as_left_out_as_in_a_cluster(field: str) -> None:
    with_null = judge(yaml.safe_load(spec(f"{field}:")))

    assert with_null.problems == ()
    assert with_null.object == judge(yaml.safe_load(worker("app: shop.tasks"))).object


def test_a_status_is_the_operators_and_is_not_looked_at() -> None:
    obj: dict[str, Any] = yaml.safe_load(spec("queues: [a]"))

    assert validate({**obj, "status": {"waiting": "many", "new": 1}}) == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data(), anything=ANYTHING)
def test_whatever_stands_in_a_field_is_answered_and_never_raises(
    data: st.DataObject, anything: Any
) -> None:
    obj: dict[str, Any] = yaml.safe_load(EVERYTHING.read_text(encoding="utf-8"))
    node: Any = obj
    while True:
        key = data.draw(
            st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node)))
        )
        if not isinstance(node[key], (dict, list)) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = anything

    verdict = judge(obj, in_cluster=True)

    assert (verdict.object is None) == bool(verdict.problems)
    assert all("\n" not in str(problem) for problem in (*verdict.problems, *verdict.advice))


@pytest.mark.parametrize("spec", [None, 3, "text", [], {"worker": []}, {"scaling": [1]}])
def test_any_shape_of_spec_is_answered_and_never_raises(spec: Any) -> None:
    assert validate({**yaml.safe_load(HEAD), "spec": spec}) != []
