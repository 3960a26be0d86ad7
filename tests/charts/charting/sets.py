"""Sets of values: each turns what it names, and together they turn every switch."""

from __future__ import annotations

from typing import Any

DIGEST = "sha256:" + "0123456789abcdef" * 4

HIGH_CPU = {
    "nodeSelector": {"pool": "high-cpu"},
    "tolerations": [{"key": "pool", "value": "high-cpu", "effect": "NoSchedule"}],
    "resources": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
}

MONITORING = {"monitor": {"enabled": True}, "prometheusRule": {"enabled": True}}

SETS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one replica": {"replicaCount": 1},
    "stopped": {"replicaCount": 0},
    "one namespace": {"watchNamespaces": ["shop"]},
    "two namespaces": {"watchNamespaces": ["shop", "payments"]},
    "dry run, log as text": {"dryRun": True, "logFormat": "text"},
    "arguments and environment": {
        "extraArgs": ["--address=0.0.0.0:8080"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraEnvFrom": [{"configMapRef": {"name": "proxy", "optional": True}}],
    },
    "a registry": {
        "image": {"repository": "registry.example:5000/team/sluiceway", "tag": "1.2.3-rc.1"},
        "agent": {"image": {"repository": "registry.example:5000/team/agent", "tag": "edge"}},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "digests": {
        "image": {"digest": DIGEST, "pullPolicy": "Always"},
        "agent": {"image": {"digest": DIGEST}},
    },
    "CRDs by somebody else": {"crds": {"install": False}},
    "CRDs that go with the release": {"crds": {"keep": False}},
    "CRDs with annotations": {"crds": {"annotations": {"argocd.argoproj.io/sync-wave": "-1"}}},
    "worker classes": {
        "workerClasses": {
            "light": {"default": True, "resources": {"requests": {"cpu": "250m"}}},
            "high-cpu": HIGH_CPU,
        }
    },
    "worker classes, CRDs by somebody else": {
        "crds": {"install": False},
        "workerClasses": {"high-cpu": HIGH_CPU},
    },
    "two Secrets only": {"rbac": {"secretNames": ["redis", "redis-reports"]}},
    "nodes unseen": {"rbac": {"nodes": False}},
    "rights by somebody else": {
        "rbac": {"create": False, "aggregateClusterRoles": False},
        "serviceAccount": {"create": False, "name": "operator"},
    },
    "a service account with an identity": {
        "serviceAccount": {
            "name": "operator",
            "annotations": {"iam.example/role": "arn:example:sluiceway"},
        }
    },
    "other resources": {"resources": {"limits": {"cpu": "1", "memory": 1073741824}}},
    "other security contexts": {
        "podSecurityContext": {"runAsUser": 12345, "fsGroup": 12345},
        "securityContext": {"runAsGroup": 12345},
    },
    "no disruption budget": {"podDisruptionBudget": {"enabled": False}},
    "a disruption budget in percent": {"podDisruptionBudget": {"maxUnavailable": "50%"}},
    "no spread": {"topologySpreadConstraints": []},
    "a spread of one's own": {
        "topologySpreadConstraints": [
            {
                "maxSkew": 2,
                "topologyKey": "rack",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"rack": "yes"}},
            }
        ]
    },
    "nodes": {
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "arm", "operator": "DoesNotExist"}]}
                    ]
                }
            }
        },
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 60,
    },
    "timings of probes": {
        "probes": {
            "startup": {"initialDelaySeconds": 1, "failureThreshold": 120},
            "readiness": {"timeoutSeconds": 3},
            "liveness": {"failureThreshold": 5, "successThreshold": 1},
        }
    },
    "labels and annotations everywhere": {
        "commonLabels": {"team": "platform"},
        "commonAnnotations": {"example.com/owner": "platform"},
        "podLabels": {"tier": "control"},
        "podAnnotations": {"example.com/scrape": "no"},
        "service": {"labels": {"tier": "control"}, "annotations": {"example.com/a": "b"}},
    },
    "volumes": {
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca", "optional": True}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/ca", "readOnly": True}],
    },
    "no network policy": {"networkPolicy": {"enabled": False}},
    "a closed network": {
        "networkPolicy": {
            "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": {
                "enabled": True,
                "ports": [6443, 26379],
                "extra": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            },
        }
    },
    "a ServiceMonitor": {
        "metrics": {
            "monitor": {
                "enabled": True,
                "interval": "15s",
                "scrapeTimeout": "10s",
                "labels": {"release": "kube-prometheus-stack"},
                "annotations": {"example.com/a": "b"},
                "relabelings": [{"action": "labeldrop", "regex": "endpoint"}],
                "metricRelabelings": [{"action": "drop", "regex": "python_.*"}],
            }
        }
    },
    "a PodMonitor": {"metrics": {"monitor": {"enabled": True, "kind": "PodMonitor"}}},
    "another job for the fleets": {
        "metrics": {"monitor": {"enabled": True, "celeryJob": "shop-celery"}}
    },
    "alerts": {
        "metrics": {
            "prometheusRule": {
                "enabled": True,
                "labels": {"release": "kube-prometheus-stack"},
                "annotations": {"example.com/a": "b"},
                "runbookUrl": "https://docs.example/alerts",
                "alertLabels": {"team": "platform"},
                "alerts": {
                    "SluicewayAtMaximum": {"enabled": False},
                    "SluicewayTasksWaitTooLong": {"threshold": 90, "severity": "critical"},
                },
                "extraRules": [{"record": "fleets", "expr": "count(sluiceway_taskqueue_ready)"}],
            }
        }
    },
    "a dashboard": {
        "metrics": {
            "dashboard": {
                "enabled": True,
                "namespace": "monitoring",
                "labels": {"grafana": "yes"},
                "annotations": {"grafana_folder": "Celery"},
            }
        }
    },
    "other names": {"nameOverride": "workers", "fullnameOverride": "celery-workers"},
    "more objects": {
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "of-{{ .Release.Name }}", "namespace": "shop"},
            },
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text, namespace: shop}\n",
        ]
    },
    "as a dependency": {"enabled": True, "global": {"imageRegistry": "registry.example"}},
    "everything at once": {
        "watchNamespaces": ["shop"],
        "workerClasses": {"high-cpu": HIGH_CPU},
        "networkPolicy": {"egress": {"enabled": True}},
        "metrics": {**MONITORING, "dashboard": {"enabled": True}},
        "commonLabels": {"team": "platform"},
        "commonAnnotations": {"example.com/owner": "platform"},
    },
}

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a misspelt key": ({"replicas": 3}, ("replicas", "not allowed")),
    "a misspelt key deep inside": (
        {"metrics": {"monitor": {"enable": True}}},
        ("/metrics/monitor", "enable", "not allowed"),
    ),
    "a number as text": ({"replicaCount": "2"}, ("/replicaCount", "got string, want integer")),
    "a negative number": ({"replicaCount": -1}, ("/replicaCount", "minimum")),
    "half a replica": ({"replicaCount": 1.5}, ("/replicaCount", "want integer")),
    "a namespace in place of a list": (
        {"watchNamespaces": "shop"},
        ("/watchNamespaces", "got string, want array"),
    ),
    "a namespace twice": ({"watchNamespaces": ["shop", "shop"]}, ("/watchNamespaces", "equal")),
    "a namespace that is none": (
        {"watchNamespaces": ["Shop"]},
        ("/watchNamespaces/0", "'Shop'", "pattern"),
    ),
    "an unknown log format": ({"logFormat": "logfmt"}, ("/logFormat", "'json', 'text'")),
    "an argument that is none": ({"extraArgs": ["dry-run"]}, ("/extraArgs/0", "'dry-run'")),
    "a variable without a name": ({"extraEnv": [{"value": "x"}]}, ("/extraEnv/0", "'name'")),
    "variables as a map": ({"extraEnv": {"A": "b"}}, ("/extraEnv", "want array")),
    "a digest cut short": ({"image": {"digest": "sha256:abc"}}, ("/image/digest", "sha256:abc")),
    "a digest within the repository": (
        {"image": {"repository": f"sluiceway@{DIGEST}"}},
        ("/image/repository", "pattern"),
    ),
    "an unknown pull policy": (
        {"image": {"pullPolicy": "always"}},
        ("/image/pullPolicy", "'IfNotPresent', 'Always', 'Never'"),
    ),
    "a pull secret by its bare name": (
        {"imagePullSecrets": ["registry"]},
        ("/imagePullSecrets/0", "want object"),
    ),
    "a Secret with a path": (
        {"rbac": {"secretNames": ["shop/redis"]}},
        ("/rbac/secretNames/0", "shop/redis"),
    ),
    "yes in place of true": ({"crds": {"install": "yes"}}, ("/crds/install", "want boolean")),
    "a label that is a number": ({"podLabels": {"tier": 1}}, ("/podLabels/tier", "want string")),
    "memory in gigabyte": (
        {"resources": {"limits": {"memory": "1GB"}}},
        ("/resources/limits/memory", "1GB"),
    ),
    "a misspelt kind of resources": (
        {"resources": {"request": {"cpu": "1"}}},
        ("/resources", "request", "not allowed"),
    ),
    "more than all replicas": (
        {"podDisruptionBudget": {"maxUnavailable": "150%"}},
        ("/podDisruptionBudget/maxUnavailable", "150%"),
    ),
    "a spread without its key": (
        {"topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]},
        ("/topologySpreadConstraints/0", "topologyKey"),
    ),
    "a probe's path": (
        {"probes": {"liveness": {"path": "/"}}},
        ("/probes/liveness", "path", "not allowed"),
    ),
    "no port": (
        {"networkPolicy": {"egress": {"ports": [70_000]}}},
        ("/networkPolicy/egress/ports/0", "maximum"),
    ),
    "an unknown monitor": (
        {"metrics": {"monitor": {"kind": "podmonitor"}}},
        ("/metrics/monitor/kind", "'ServiceMonitor', 'PodMonitor'"),
    ),
    "an interval without a unit": (
        {"metrics": {"monitor": {"interval": "15"}}},
        ("/metrics/monitor/interval", "'15'"),
    ),
    "an alert that does not exist": (
        {"metrics": {"prometheusRule": {"alerts": {"SluicewayAtMaximun": {"enabled": False}}}}},
        ("/metrics/prometheusRule/alerts", "SluicewayAtMaximun"),
    ),
    "a threshold where there is none": (
        {"metrics": {"prometheusRule": {"alerts": {"SluicewayAtMaximum": {"threshold": 3}}}}},
        ("/alerts/SluicewayAtMaximum", "threshold"),
    ),
    "a misspelt field of a worker class": (
        {"workerClasses": {"high-cpu": {"nodeSelectors": {"pool": "x"}}}},
        ("/workerClasses/high-cpu", "nodeSelectors", "not allowed"),
    ),
    "an effect that no taint has": (
        {"workerClasses": {"high-cpu": {"tolerations": [{"key": "x", "effect": "Never"}]}}},
        ("/workerClasses/high-cpu/tolerations/0/effect", "NoSchedule"),
    ),
    "an object without a kind": ({"extraObjects": [{"metadata": {}}]}, ("/extraObjects/0", "kind")),
    "nobody to run as": (
        {"serviceAccount": {"create": False}},
        ("serviceAccount.name is empty", "write the name of the service account"),
    ),
}
"""What is wrong → the values, and what must be in the sentence that refuses them."""
