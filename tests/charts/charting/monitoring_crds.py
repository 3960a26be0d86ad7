"""Stand-ins for the Prometheus operator's CRDs: the fields of theirs that the charts use.

They are closed, so an API server refuses what is misspelt. The originals are about
600 kB; names and kinds are those of monitoring.coreos.com/v1.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
DURATION: Schema = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}
EXPRESSION: Schema = {"x-kubernetes-int-or-string": True}


def closed(**members: Schema) -> Schema:
    return {"type": "object", "properties": members}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


RELABELING = closed(
    action=TEXT,
    regex=TEXT,
    separator=TEXT,
    sourceLabels=listed(TEXT),
    targetLabel=TEXT,
    replacement=TEXT,
    modulus={"type": "integer"},
)
ENDPOINT = closed(
    port=TEXT,
    path=TEXT,
    scheme=TEXT,
    honorLabels=FLAG,
    interval=DURATION,
    scrapeTimeout=DURATION,
    relabelings=listed(RELABELING),
    metricRelabelings=listed(RELABELING),
)
TARGETS = {
    "jobLabel": TEXT,
    "selector": closed(matchLabels=TEXTS),
    "namespaceSelector": closed(any=FLAG, matchNames=listed(TEXT)),
}
RULE = closed(
    alert=TEXT, record=TEXT, expr=EXPRESSION, **{"for": DURATION}, labels=TEXTS, annotations=TEXTS
)
SPECS = {
    "ServiceMonitor": closed(endpoints=listed(ENDPOINT), **TARGETS),
    "PodMonitor": closed(podMetricsEndpoints=listed(ENDPOINT), **TARGETS),
    "PrometheusRule": closed(
        groups=listed(closed(name=TEXT, interval=DURATION, rules=listed(RULE)))
    ),
}


def crds() -> list[dict[str, Any]]:
    """For `kubectl apply`."""
    return [_crd(kind, spec) for kind, spec in SPECS.items()]


def _crd(kind: str, spec: Schema) -> dict[str, Any]:
    plural, group = f"{kind.lower()}s", "monitoring.coreos.com"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": closed(spec=spec)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }
