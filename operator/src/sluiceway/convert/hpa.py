"""A HorizontalPodAutoscaler on a Celery Deployment becomes a TaskQueue with a deploymentRef."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluiceway.api.quantity import parse_quantity
from sluiceway.convert.bundle import Bundle
from sluiceway.convert.keda import take_behavior, target_of
from sluiceway.convert.pods import broker_variable, describe_workers
from sluiceway.convert.result import Draft, Object, name_of
from sluiceway.convert.shape import require_shape

_QUEUE_LABELS = ("queue", "queue_name", "queueName", "list", "key")
_LENGTHS = ("queue_length", "list_length", "key_size", "messages", "backlog")
_HPAS_MIN_REPLICAS = 1


def convert_autoscaler(autoscaler: Object, bundle: Bundle) -> Draft:
    """The TaskQueue that takes over, with remarks.

    Raises:
        NotConvertibleError: it scales no Deployment, or has a field of a wrong type.
    """
    require_shape(autoscaler)
    metadata, spec = autoscaler.get("metadata") or {}, autoscaler.get("spec") or {}
    draft = Draft(
        source=name_of(autoscaler),
        name=str(metadata.get("name")),
        namespace=metadata.get("namespace"),
    )
    target = target_of(draft, spec.get("scaleTargetRef") or {})
    deployment = bundle.deployment(autoscaler, target)
    draft.spec["scaling"] = {
        "minReplicas": spec.get("minReplicas", _HPAS_MIN_REPLICAS),
        "maxReplicas": spec.get("maxReplicas", 10),
    }
    queues = dict.fromkeys(_metrics(draft, spec))
    if queues:
        draft.spec["queues"] = list(queues)
    describe_workers(draft, deployment, target)
    if not draft.spec.get("queues"):
        draft.spec["queues"] = ["celery"]
        draft.say("no metric and no -Q names a queue: Celery's default queue, celery, is assumed")
    variable = broker_variable(deployment)
    if variable is not None:
        draft.spec["broker"] = {"urlFrom": {"env": variable}}
    else:
        draft.spec["broker"] = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
        draft.say("an HPA does not know the broker: correct broker.urlFrom, which is a guess")
    if draft.spec["scaling"]["minReplicas"] > 0:
        draft.say(
            f"minReplicas ({draft.spec['scaling']['minReplicas']}) is kept: 0 lets an idle fleet "
            "go, and the first message brings it back"
        )
    take_behavior(draft, spec.get("behavior"))
    return draft


def _metrics(draft: Draft, spec: Mapping[str, Any]) -> Iterator[str]:
    """Queues that metrics of a queue's length name; the rest is said."""
    length: int | None = None
    for metric in spec.get("metrics") or ():
        kind = str(metric.get("type"))
        body = metric.get(kind[:1].lower() + kind[1:]) or {}
        told = body.get("metric") or {}
        name = str(told.get("name") or body.get("name") or kind)
        if kind not in ("External", "Object") or not any(one in name for one in _LENGTHS):
            draft.say(
                f"the metric {name} has no counterpart: what waits and runs in the queues decides"
            )
            continue
        labels = (told.get("selector") or {}).get("matchLabels") or {}
        yield from (str(labels[label]) for label in _QUEUE_LABELS if label in labels)
        target = body.get("target") or {}
        value = target.get("averageValue") or target.get("value")
        if value is not None:
            each = max(1, round(float(parse_quantity(str(value)))))
            length = each if length is None else min(length, each)
    if length is None:
        draft.spec["scaling"]["target"] = {"maxWait": "30s"}
        draft.say(
            "no metric tells how much waits: target is maxWait: 30s, the default; choose how long "
            "a task may wait"
        )
    else:
        draft.spec["scaling"]["target"] = {"backlogPerReplica": length}
        draft.say(
            "backlogPerReplica counts what waits and what runs: consider target: {maxWait: 30s}, "
            "for which no number must be found"
        )
