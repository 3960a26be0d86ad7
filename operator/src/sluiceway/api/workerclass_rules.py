"""The rules of a WorkerClass: what Kubernetes asks of tolerations.

Kubernetes itself would say so only when a pod is made, hours after the class was
applied and to somebody else.
"""

from __future__ import annotations

from sluiceway.api.problem import Why
from sluiceway.api.rule import Rule

WORKERCLASS_RULES: tuple[Rule, ...] = (
    Rule(
        name="a toleration of all keys asks for Exists",
        at="spec.tolerations[*]",
        field="operator",
        reads=("key", "operator"),
        cel="has(self.key) || self.operator == 'Exists'",
        holds=lambda toleration: "key" in toleration or toleration["operator"] == "Exists",
        sentence=(
            "a toleration without a key bears all taints, and then operator must be Exists: "
            "write key, or operator: Exists"
        ),
    ),
    Rule(
        name="Exists takes no value",
        at="spec.tolerations[*]",
        field="value",
        reads=("operator", "value"),
        cel="self.operator != 'Exists' || !has(self.value)",
        holds=lambda toleration: toleration["operator"] != "Exists" or "value" not in toleration,
        sentence="operator Exists takes no value: remove value, or write operator: Equal",
        why=Why.FORBIDDEN,
    ),
    Rule(
        name="only NoExecute is borne for a time",
        at="spec.tolerations[*]",
        field="tolerationSeconds",
        reads=("effect", "tolerationSeconds"),
        cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        holds=lambda toleration: (
            "tolerationSeconds" not in toleration or toleration.get("effect") == "NoExecute"
        ),
        sentence="is for effect NoExecute only: remove it, or write effect: NoExecute",
        why=Why.FORBIDDEN,
    ),
)
