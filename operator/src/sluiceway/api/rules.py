"""The rules of a TaskQueue: those that connect fields, and those that a type cannot tell.

Each is declared once, as a CEL expression for the API server and as Python for local
mode, with one sentence. The rules of durations and quantities stand with their
types, those of a WorkerClass in a module of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from sluiceway.api import duration
from sluiceway.api.problem import Why
from sluiceway.api.rule import Rule
from sluiceway.api.workerclass_rules import WORKERCLASS_RULES

Node = Mapping[str, Any]

_DURATION = f"'{duration.PATTERN}'"
_SCHEME = r"^(redis|rediss|sentinel|redis[+]socket)://"
_CLUSTER = r"^[A-Za-z+-]*[Cc]luster[A-Za-z+-]*://"
_SERVER = r"^rediss?://"
_PLACE = r"^rediss?://[^/?#; ]*(/[0-9]{0,5}/?)?([?][^# ]*)?$"
_QUEUE = r"^[^,\x00-\x20]([^,\x00-\x1f]*[^,\x00-\x20])?$"
_CRON = r"^[^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+$"


def _cel(pattern: str) -> str:
    """A pattern as a CEL string literal, whose backslashes are escapes."""
    return "'" + pattern.replace("\\", "\\\\") + "'"


def _found(pattern: str, text: Any) -> bool:
    """CEL's ``matches``: anywhere, unless the pattern is anchored."""
    return re.search(pattern, text) is not None


def _one_of(node: Node, *names: str) -> bool:
    return sum(name in node for name in names) == 1


def _delivered_once(spec: Node) -> bool:
    times = (spec.get("worker", {}).get("longestTask"), spec["broker"].get("visibilityTimeout"))
    if not all(duration.is_duration(time) for time in times):
        return True
    longest, timeout = map(duration.parse_duration, times)
    return longest < timeout


def _rising(steps: list[int]) -> bool:
    return all(one < other for one, other in pairwise(steps))


SHORTEST_SILENCE = "15s"
"""A heartbeat counts for ten seconds, and a worker that is held up for a moment is not dead."""

_OF_A_POD = ("app", "image", "like", "className", "template", "python", "entrypoint")

TASKQUEUE_RULES: tuple[Rule, ...] = (
    Rule(
        name="the name fits into a label",
        field="metadata.name",
        reads=("metadata.name",),
        cel="size(self.metadata.name) <= 63",
        holds=lambda obj: len(obj["metadata"]["name"]) <= 63,
        sentence="must have at most 63 characters, because it becomes a label: shorten it",
    ),
    Rule(
        name="a long task is not delivered twice",
        at="spec",
        field="worker.longestTask",
        reads=("worker.longestTask", "broker.visibilityTimeout"),
        # Malformed durations have a sentence of their own; here they would be an error.
        cel=(
            "!has(self.worker) || !has(self.broker.visibilityTimeout)"
            f" || !self.broker.visibilityTimeout.matches({_DURATION})"
            f" || !self.worker.longestTask.matches({_DURATION})"
            " || duration(self.worker.longestTask) < duration(self.broker.visibilityTimeout)"
        ),
        holds=_delivered_once,
        sentence=(
            "longestTask ({worker.longestTask}) must be below broker.visibilityTimeout "
            "({broker.visibilityTimeout}), or a long task is delivered twice: raise "
            "visibilityTimeout here and in the application, or lower longestTask"
        ),
    ),
    Rule(
        name="no queue name contains the separator",
        at="spec",
        field="queues",
        reads=("queues", "broker.separator"),
        cel=("!has(self.queues) || self.queues.all(queue, !queue.contains(self.broker.separator))"),
        holds=lambda spec: all(
            spec["broker"]["separator"] not in queue for queue in spec.get("queues", ())
        ),
        sentence=(
            "a queue's name must not contain broker.separator, which ends the name in Redis: "
            "rename the queue or choose another separator"
        ),
    ),
    Rule(
        name="no queue is listed twice",
        at="spec.queues",
        cel="self.all(queue, self.exists_one(other, other == queue))",
        holds=lambda queues: len(set(queues)) == len(queues),
        sentence="a queue is listed twice: remove one of the two",
    ),
    Rule(
        name="a queue name can be told to celery worker -Q",
        at="spec.queues[*]",
        cel=f"self.matches({_cel(_QUEUE)})",
        holds=lambda queue: _found(_QUEUE, queue),
        sentence=(
            "is not the name of a queue: write each queue as an item of its own, without "
            "commas, control characters and spaces around it"
        ),
    ),
    Rule(
        name="the address is told in one way",
        at="spec.broker",
        field="urlFrom",
        reads=("url", "urlFrom"),
        cel="!has(self.url) || !has(self.urlFrom)",
        holds=lambda broker: not ("url" in broker and "urlFrom" in broker),
        sentence="url and urlFrom exclude each other: remove one of them",
        why=Why.FORBIDDEN,
    ),
    Rule(
        name="the address is read from one place",
        at="spec.broker.urlFrom",
        cel=(
            "(has(self.secretKeyRef) ? 1 : 0) + (has(self.configMapKeyRef) ? 1 : 0)"
            " + (has(self.env) ? 1 : 0) == 1"
        ),
        holds=lambda source: _one_of(source, "secretKeyRef", "configMapKeyRef", "env"),
        sentence="write exactly one of secretKeyRef, configMapKeyRef and env",
    ),
    Rule(
        name="the broker is no Redis Cluster",
        at="spec.broker.url",
        cel=f"!self.matches({_cel(_CLUSTER)})",
        holds=lambda url: not _found(_CLUSTER, url),
        sentence=(
            "Celery does not run on Redis Cluster, whose nodes cannot take from several lists "
            "at once: use a single server, a primary with replicas, or Sentinel (sentinel://)"
        ),
    ),
    Rule(
        name="the broker is a Redis",
        at="spec.broker.url",
        cel=f"self.matches({_cel(_SCHEME)}) || self.matches({_cel(_CLUSTER)})",
        holds=lambda url: _found(_SCHEME, url) or _found(_CLUSTER, url),
        sentence=(
            "must begin with redis://, rediss:// or sentinel://, because only Celery on Redis "
            "is served: write an address such as redis://redis:6379/0"
        ),
    ),
    Rule(
        name="the address has a host and the number of a database",
        at="spec.broker.url",
        cel=f"!self.matches({_cel(_SERVER)}) || self.matches({_cel(_PLACE)})",
        holds=lambda url: not _found(_SERVER, url) or _found(_PLACE, url),
        sentence=(
            "is not one address of the form redis://HOST:PORT/NUMBER: write the database as a "
            "number, and special characters of a password percent-encoded"
        ),
    ),
    Rule(
        name="a Sentinel address has a master's name",
        at="spec.broker",
        field="masterName",
        reads=("url", "masterName"),
        cel=(
            "has(self.masterName) || !has(self.url) || !self.url.startsWith('sentinel://')"
            " || self.url.matches('[?&]master_name=[^&]')"
        ),
        holds=lambda broker: (
            "masterName" in broker
            or not broker.get("url", "").startswith("sentinel://")
            or _found("[?&]master_name=[^&]", broker["url"])
        ),
        sentence=(
            "with sentinel:// the name under which the Sentinels know the server is needed: "
            "write it here, as in master_name of the application's broker_transport_options"
        ),
        why=Why.REQUIRED,
    ),
    Rule(
        name="the priority steps begin at 0",
        at="spec.broker.prioritySteps",
        cel="self.size() > 0 && self[0] == 0",
        holds=lambda steps: steps[0] == 0,
        sentence=(
            "must begin at 0, or messages without a priority go to the last list: write them "
            "as the application does, such as [0, 3, 6, 9]"
        ),
    ),
    Rule(
        name="the priority steps rise",
        at="spec.broker.prioritySteps",
        cel="[1, 2, 3, 4, 5, 6, 7, 8, 9].all(i, i >= self.size() || self[i - 1] < self[i])",
        holds=_rising,
        sentence="must rise from step to step: write each once and in order, such as [0, 3, 6, 9]",
    ),
    Rule(
        name="workers run an application",
        at="spec",
        field="worker.app",
        reads=("worker.app", "worker.deploymentRef"),
        cel="has(self.worker) && (has(self.worker.app) || has(self.worker.deploymentRef))",
        holds=lambda spec: any(name in spec.get("worker", ()) for name in ("app", "deploymentRef")),
        sentence=(
            "write the Celery application as for celery -A, such as app: shop.tasks, or "
            "deploymentRef to scale a Deployment that exists already"
        ),
        why=Why.REQUIRED,
    ),
    Rule(
        name="in a cluster workers have an image",
        at="spec.worker",
        field="image",
        reads=("app", "image", "like"),
        cel="!has(self.app) || has(self.image) || has(self.like)",
        holds=lambda worker: "app" not in worker or "image" in worker or "like" in worker,
        sentence=(
            "workers in a cluster need an image: write image, or like: {name: web} to take it "
            "from the Deployment of that name"
        ),
        why=Why.REQUIRED,
        cluster_only=True,
    ),
    Rule(
        name="the image is told in one way",
        at="spec.worker",
        field="image",
        reads=("image", "like"),
        cel="!has(self.image) || !has(self.like)",
        holds=lambda worker: not ("image" in worker and "like" in worker),
        sentence="like takes the image from another Deployment: remove image or like",
        why=Why.FORBIDDEN,
    ),
    Rule(
        name="a Deployment that exists already keeps its pods",
        at="spec.worker",
        field="deploymentRef",
        reads=("deploymentRef", *_OF_A_POD),
        cel=(
            "!has(self.deploymentRef) || !("
            + " || ".join(f"has(self.{name})" for name in _OF_A_POD)
            + ")"
        ),
        holds=lambda worker: (
            "deploymentRef" not in worker or not any(name in worker for name in _OF_A_POD)
        ),
        sentence=(
            "a Deployment that exists already keeps its own pods: remove "
            f"{', '.join(_OF_A_POD[:-1])} and {_OF_A_POD[-1]}, or deploymentRef"
        ),
        why=Why.FORBIDDEN,
    ),
    Rule(
        name="acknowledgement is the application's with deploymentRef",
        at="spec.worker",
        field="acks",
        reads=("deploymentRef", "acks"),
        cel="!has(self.deploymentRef) || !has(self.acks) || self.acks == 'app'",
        holds=lambda worker: "deploymentRef" not in worker or worker.get("acks", "app") == "app",
        sentence=(
            "acks ({acks}) cannot be set for workers that a deploymentRef's Deployment starts: "
            "remove it, and set task_acks_late in the application"
        ),
    ),
    Rule(
        name="a solo worker has one slot",
        at="spec.worker",
        field="concurrency",
        reads=("pool", "concurrency"),
        cel="self.pool != 'solo' || !has(self.concurrency) || self.concurrency == 1",
        holds=lambda worker: worker["pool"] != "solo" or worker.get("concurrency", 1) == 1,
        sentence=(
            "concurrency ({concurrency}) must be 1 with pool solo, which runs one task at a "
            "time: remove it, or choose prefork, threads or gevent"
        ),
    ),
    Rule(
        name="a moment of silence is no death",
        at="spec.worker.unprovenDeathAfter",
        cel=(f"!self.matches({_DURATION}) || duration(self) >= duration('{SHORTEST_SILENCE}')"),
        holds=lambda text: (
            not duration.is_duration(text)
            or duration.parse_duration(text) >= duration.parse_duration(SHORTEST_SILENCE)
        ),
        sentence=(
            f"must be at least {SHORTEST_SILENCE}, or the tasks of a worker that is held up for "
            "a moment run twice: write 10m or more, so that a short outage is not taken for death"
        ),
    ),
    Rule(
        name="the smallest number is not above the largest",
        at="spec.scaling",
        field="minReplicas",
        reads=("minReplicas", "maxReplicas"),
        cel="self.minReplicas <= self.maxReplicas",
        holds=lambda scaling: scaling["minReplicas"] <= scaling["maxReplicas"],
        sentence=(
            "minReplicas ({minReplicas}) must not be above maxReplicas ({maxReplicas}): lower "
            "minReplicas or raise maxReplicas"
        ),
    ),
    Rule(
        name="a fleet may have a worker",
        at="spec.scaling.maxReplicas",
        cel="self >= 1",
        holds=lambda most: most >= 1,
        sentence=(
            "must be at least 1, or nothing is ever done: raise it, or write paused: "
            "{replicas: 0} to stop the fleet for a while"
        ),
    ),
    Rule(
        name="there is one target",
        at="spec.scaling.target",
        cel="has(self.maxWait) != has(self.backlogPerReplica)",
        holds=lambda target: _one_of(target, "maxWait", "backlogPerReplica"),
        sentence="write exactly one of maxWait, such as 30s, and backlogPerReplica, such as 10",
    ),
    Rule(
        name="a cron expression has five fields",
        at="spec.scaling.schedules[*].cron",
        cel=f"self.matches({_cel(_CRON)})",
        holds=lambda cron: _found(_CRON, cron),
        sentence=(
            "must have five fields with a space between (minute, hour, day of the month, month, "
            'day of the week): write for example "0 2 * * *" for two at night'
        ),
    ),
    Rule(
        name="what may lower a fleet says to what",
        at="spec.scaling.fallback",
        field="replicas",
        reads=("behavior", "replicas"),
        cel=("!(self.behavior in ['static', 'currentReplicasIfLower']) || has(self.replicas)"),
        holds=lambda fallback: (
            fallback["behavior"] not in ("static", "currentReplicasIfLower")
            or "replicas" in fallback
        ),
        sentence=(
            "behavior ({behavior}) needs a number: write how many workers to hold while the "
            "broker cannot be read"
        ),
        why=Why.REQUIRED,
    ),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "TaskQueue": TASKQUEUE_RULES,
    "WorkerClass": WORKERCLASS_RULES,
}
"""The rules of each kind, in the order in which they are told."""
