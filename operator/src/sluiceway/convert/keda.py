"""A KEDA ScaledObject on Redis lists becomes a TaskQueue with a deploymentRef."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluiceway.convert.bundle import Bundle
from sluiceway.convert.cron_trigger import describe_schedule
from sluiceway.convert.pods import describe_workers
from sluiceway.convert.redis_trigger import REDIS_LISTS, describe_broker, describe_queues
from sluiceway.convert.result import Draft, NotConvertibleError, Object, name_of, seconds
from sluiceway.convert.shape import require_shape

KEDAS_MAX_REPLICAS = 100
KEDAS_COOLDOWN_S = 300
_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_AT = "autoscaling.keda.sh/paused-replicas"
_SPEC = {
    "scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod",
    "idleReplicaCount", "minReplicaCount", "maxReplicaCount", "fallback", "advanced", "triggers",
}  # fmt: skip


def convert_scaled_object(scaled: Object, bundle: Bundle) -> Draft:
    """The TaskQueue that takes over, with remarks.

    Raises:
        NotConvertibleError: it scales no Deployment, looks at no Redis list, or has a field
            of a wrong type.
    """
    require_shape(scaled)
    metadata, spec = scaled.get("metadata") or {}, scaled.get("spec") or {}
    draft = Draft(
        source=name_of(scaled), name=str(metadata.get("name")), namespace=metadata.get("namespace")
    )
    target = target_of(draft, spec.get("scaleTargetRef") or {})
    deployment = bundle.deployment(scaled, target)
    triggers = list(spec.get("triggers") or ())
    on_lists = [one for one in triggers if one.get("type") in REDIS_LISTS]
    if not on_lists:
        kinds = ", ".join(sorted({str(one.get("type")) for one in triggers})) or "none"
        raise NotConvertibleError(
            f"{draft.source}: it has no trigger on a Redis list (its triggers: {kinds}), and "
            "Sluiceway serves Celery on Redis only: leave it to KEDA"
        )
    describe_queues(draft, on_lists)
    describe_broker(draft, scaled, on_lists, bundle, deployment)
    describe_workers(draft, deployment, target)
    _limits(draft, spec)
    for trigger in triggers:
        if trigger.get("type") == "cron":
            describe_schedule(draft, trigger.get("metadata") or {})
        elif trigger not in on_lists:
            draft.say(
                f"the trigger {trigger.get('type')} has no counterpart: what waits and runs in "
                "the queues decides alone"
            )
    _fallback(draft, spec.get("fallback"))
    _advanced(draft, spec.get("advanced") or {})
    _paused(draft, metadata.get("annotations") or {})
    for unknown in sorted(set(spec) - _SPEC):
        draft.say(f"spec.{unknown} is not known to this conversion and left out")
    return draft


def target_of(draft: Draft, ref: Mapping[str, Any]) -> str:
    """The Deployment's name.

    Raises:
        NotConvertibleError: it is another kind.
    """
    kind = ref.get("kind") or "Deployment"
    if kind != "Deployment" or not ref.get("name"):
        raise NotConvertibleError(
            f"{draft.source}: it scales a {kind}, and a TaskQueue scales a Deployment: run the "
            "workers as a Deployment, or let Sluiceway make one (worker.app with worker.image)"
        )
    return str(ref["name"])


def _limits(draft: Draft, spec: Mapping[str, Any]) -> None:
    scaling = draft.spec["scaling"]
    least = spec.get("minReplicaCount", 0) or 0
    idle = spec.get("idleReplicaCount")
    if idle is not None:
        draft.say(
            f"idleReplicaCount ({idle}) becomes minReplicas, and minReplicaCount ({least}) has no "
            "counterpart: with work, a fleet has as many workers as the target asks for"
        )
        least = idle
    scaling["minReplicas"] = least
    scaling["maxReplicas"] = spec.get("maxReplicaCount", KEDAS_MAX_REPLICAS)
    scaling["cooldownPeriod"] = seconds(spec.get("cooldownPeriod", KEDAS_COOLDOWN_S))
    if "pollingInterval" in spec:
        draft.say(
            f"pollingInterval ({spec['pollingInterval']}) is not needed: the broker wakes the "
            "operator when a message comes"
        )
    if spec.get("initialCooldownPeriod"):
        draft.say(
            f"initialCooldownPeriod ({spec['initialCooldownPeriod']}) has no counterpart: to keep "
            "workers at first, write minReplicas, or schedules"
        )


def _fallback(draft: Draft, fallback: Mapping[str, Any] | None) -> None:
    if not fallback:
        return
    behavior = fallback.get("behavior") or "static"
    draft.spec["scaling"]["fallback"] = {
        "failureThreshold": fallback.get("failureThreshold", 3),
        "replicas": fallback.get("replicas", 0),
        "behavior": behavior,
    }
    if behavior == "static":
        draft.say(
            "fallback.behavior is KEDA's default, static, which also lowers a fleet whose demand "
            "is unknown: consider currentReplicasIfHigher"
        )
    if behavior == "currentReplicasIfLower":
        draft.say(
            "fallback.behavior currentReplicasIfLower never lowers a fleet here: its demand is "
            "unknown, not small"
        )


def _advanced(draft: Draft, advanced: Mapping[str, Any]) -> None:
    config = advanced.get("horizontalPodAutoscalerConfig") or {}
    take_behavior(draft, config.get("behavior"))
    if advanced.get("restoreToOriginalReplicaCount"):
        draft.say(
            "restoreToOriginalReplicaCount: set it to false before you delete the ScaledObject, "
            "or KEDA puts the Deployment back to its first number at that moment"
        )
    if advanced.get("scalingModifiers"):
        draft.say("scalingModifiers have no counterpart: the formula is left out")


def take_behavior(draft: Draft, behavior: Mapping[str, Any] | None) -> None:
    """The HPA's own block, which a TaskQueue has with the same meaning."""
    given = {way: dict(rules) for way, rules in (behavior or {}).items() if rules}
    for rules in given.values():
        if "tolerance" in rules:
            rules["tolerance"] = str(rules["tolerance"])
    if given:
        draft.spec["scaling"]["behavior"] = given
    if "scaleUp" not in given:
        draft.say(
            "behavior.scaleUp is not given: Sluiceway then goes up at once and without limit, "
            "where the HPA takes 15 s for each doubling"
        )
    if "scaleDown" not in given:
        draft.say(
            "behavior.scaleDown is not given: Sluiceway then goes down after 60 s, where the HPA "
            "waits for 300 s"
        )


def _paused(draft: Draft, annotations: Mapping[str, str]) -> None:
    at = annotations.get(_PAUSED_AT)
    if at is not None:
        draft.spec["scaling"]["paused"] = {"replicas": int(at)}
    elif str(annotations.get(_PAUSED)).lower() == "true":
        draft.spec["scaling"]["paused"] = True
    for way in ("scale-in", "scale-out"):
        if str(annotations.get(f"autoscaling.keda.sh/paused-{way}")).lower() == "true":
            other = "scaleDown" if way == "scale-in" else "scaleUp"
            draft.say(
                f"paused-{way}: write behavior.{other}.selectPolicy: Disabled for as long as it "
                "is meant"
            )
