"""Sets of values for the application's chart, as sets.py has them for the operator's."""

from __future__ import annotations

from typing import Any

from charting.sets import DIGEST

IMAGE: dict[str, Any] = {"image": {"repository": "registry.example/shop", "tag": "1.4"}}
REDIS: dict[str, Any] = {"broker": {"existingSecret": {"name": "redis"}}}
SHOP = IMAGE | REDIS
FLOWER = {"enabled": True, "existingSecret": {"name": "flower"}}

APP_SETS: dict[str, dict[str, Any]] = {
    "a Redis by Secret": SHOP,
    "a small Valkey": IMAGE | {"valkey": {"enabled": True}},
    "a Valkey without a disk, from a registry": IMAGE
    | {
        "valkey": {
            "enabled": True,
            "image": {"repository": "registry.example/valkey", "digest": DIGEST},
            "maxmemory": "64mb",
            "persistence": {"enabled": False},
        }
    },
    "a Valkey on a disk of one's own": IMAGE
    | {
        "valkey": {
            "enabled": True,
            "image": {"tag": "9.0", "pullPolicy": "Always"},
            "persistence": {"size": "5Gi", "storageClass": "fast"},
        }
    },
    "an image by digest": REDIS
    | {
        "image": {"repository": "registry.example/shop", "digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "app": "shop.tasks:app",
    },
    "environment and volumes": SHOP
    | {
        "env": [{"name": "SHOP_DATABASE", "value": "/data/shop.sqlite3"}],
        "envFrom": [{"secretRef": {"name": "shop"}}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "beat": {"enabled": True},
    },
    "other names of variables": IMAGE
    | {
        "broker": {
            "existingSecret": {"name": "redis", "key": "address"},
            "env": "REDIS_URL",
            "resultEnv": "",
            "visibilityTimeout": "3h",
        }
    },
    "no web": SHOP | {"web": {"enabled": False}},
    "no workers": SHOP | {"taskQueues": {"celery": None}},
    "nothing but workers": SHOP | {"web": {"enabled": False}, "serviceAccount": {"create": False}},
    "a web of fixed size": SHOP | {"web": {"replicas": 3, "autoscaling": {"enabled": False}}},
    "a web with everything": SHOP
    | {
        "web": {
            "command": ["gunicorn"],
            "args": ["-c", "python:sluiceway_sample.serving"],
            "env": [{"name": "WEB_CONCURRENCY", "value": "2"}],
            "port": 8080,
            "healthPath": "/healthz",
            "resources": {"requests": {"cpu": "200m"}},
            "autoscaling": {"minReplicas": 3, "maxReplicas": 30, "targetCPU": 60},
            "nodeSelector": {"pool": "light"},
            "tolerations": [{"key": "light", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "podAnnotations": {"example.com/a": "b"},
            "service": {"port": 8000, "annotations": {"example.com/a": "b"}},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "hosts": ["shop.example", "*.shop.example"],
                "tls": [{"secretName": "shop-tls", "hosts": ["shop.example"]}],
                "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
            },
        }
    },
    "a web for any host": SHOP | {"web": {"ingress": {"enabled": True}}},
    "queues on other nodes": SHOP
    | {
        "taskQueues": {
            "celery": None,
            "exports": {
                "worker": {"className": "high-cpu", "concurrency": 2, "longestTask": "10m"},
                "scaling": {"maxReplicas": 20},
            },
            "emails": {"queues": ["emails", "invoices"]},
        },
        "taskQueueDefaults": {"worker": {"pool": "threads"}},
    },
    "a queue with a template of its own": SHOP
    | {
        "env": [{"name": "A", "value": "of all"}],
        "taskQueues": {
            "videos": {
                "worker": {
                    "template": {
                        "metadata": {"labels": {"team": "media"}},
                        "spec": {
                            "containers": [
                                {"name": "ffmpeg", "image": "registry.example/ffmpeg:7"},
                                {"name": "worker", "env": [{"name": "B", "value": "of it"}]},
                            ],
                            "volumes": [{"name": "scratch", "emptyDir": {}}],
                        },
                    }
                }
            }
        },
    },
    "queues with workers from elsewhere": SHOP
    | {
        "taskQueues": {
            "legacy": {"worker": {"deploymentRef": {"name": "legacy-worker"}}},
            "same": {
                "worker": {
                    "like": {"name": "shop-web", "container": "web"},
                    "template": {"metadata": {"labels": {"team": "media"}}},
                }
            },
            "other": {"worker": {"image": "registry.example/other:2", "app": "other"}},
            "elsewhere": {"broker": {"url": "redis://other:6379/1"}},
        }
    },
    "Beat": SHOP | {"beat": {"enabled": True}},
    "Beat with a disk and a scheduler": SHOP
    | {
        "beat": {
            "enabled": True,
            "args": ["--scheduler=redbeat.RedBeatScheduler"],
            "persistence": {
                "enabled": True,
                "size": "1Gi",
                "storageClass": "fast",
                "accessModes": ["ReadWriteOnce"],
            },
            "nodeSelector": {"pool": "light"},
            "tolerations": [{"key": "light", "operator": "Exists"}],
        }
    },
    "Flower": SHOP | {"flower": FLOWER},
    "Flower under a path": SHOP
    | {
        "flower": {
            "enabled": True,
            "image": {"repository": "registry.example/flower", "tag": "2.1"},
            "existingSecret": {"name": "flower", "key": "login"},
            "urlPrefix": "flower",
            "args": ["--max-tasks=5000"],
            "nodeSelector": {"pool": "light"},
            "tolerations": [{"key": "light", "operator": "Exists"}],
        }
    },
    "Flower by digest": SHOP
    | {"flower": FLOWER | {"image": {"digest": DIGEST, "pullPolicy": "Always"}}},
    "names, labels, objects": SHOP
    | {
        "nameOverride": "shop",
        "fullnameOverride": "the-shop",
        "commonLabels": {"team": "shop"},
        "commonAnnotations": {"example.com/owner": "shop"},
        "serviceAccount": {"name": "buyer", "annotations": {"iam.example/role": "arn"}},
        "extraObjects": [
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        ],
    },
    "other security contexts": SHOP
    | {
        "podSecurityContext": {"runAsUser": 65532, "fsGroup": 65532},
        "securityContext": {"runAsGroup": 65532},
    },
    "as a dependency": SHOP | {"enabled": True, "global": {}},
    "the whole guide": IMAGE
    | {
        "valkey": {"enabled": True},
        "web": {"nodeSelector": {"pool": "light"}, "ingress": {"enabled": True}},
        "taskQueues": {"exports": {"worker": {"className": "high-cpu"}}, "emails": {}},
        "beat": {"enabled": True, "persistence": {"enabled": True}},
        "flower": FLOWER,
    },
}

APP_WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no image": (REDIS, ("image.repository is empty", "registry.example/shop")),
    "no tag": (REDIS | {"image": {"repository": "shop"}}, ("image.tag is empty", "image.digest")),
    "no broker": (IMAGE, ("broker.existingSecret.name is empty", "valkey.enabled")),
    "two brokers": (SHOP | {"valkey": {"enabled": True}}, ("exclude each other",)),
    "Flower without a password": (
        SHOP | {"flower": {"enabled": True}},
        ("flower.existingSecret.name is empty", "user:password"),
    ),
    "a misspelt piece": (SHOP | {"bea": {"enabled": True}}, ("bea", "not allowed")),
    "two Beats": (SHOP | {"beat": {"replicas": 2}}, ("/beat", "replicas", "not allowed")),
    "a misspelt field of a TaskQueue": (
        SHOP | {"taskQueues": {"exports": {"worker": {"class": "high-cpu"}}}},
        ("/taskQueues/exports/worker", "class", "not allowed"),
    ),
    "a TaskQueue with too few words": (
        SHOP | {"taskQueues": {"exports": {"scaling": {"maxReplicas": "many"}}}},
        ("/taskQueues/exports/scaling/maxReplicas", "want integer"),
    ),
    "an unknown pool": (
        SHOP | {"taskQueueDefaults": {"worker": {"pool": "eventlet"}}},
        ("/taskQueueDefaults/worker/pool", "prefork"),
    ),
    "a name with capitals": (SHOP | {"taskQueues": {"Exports": {}}}, ("Exports",)),
    "a command in one text": (
        SHOP | {"web": {"command": "gunicorn shop:app"}},
        ("/web/command", "want array"),
    ),
    "a path without a slash": (SHOP | {"web": {"healthPath": "healthz"}}, ("/web/healthPath",)),
    "no port": (SHOP | {"web": {"port": 0}}, ("/web/port", "minimum")),
    "a prefix with slashes": (SHOP | {"flower": {"urlPrefix": "/flower"}}, ("/flower/urlPrefix",)),
    "an unknown access mode": (
        SHOP | {"beat": {"persistence": {"accessModes": ["RWO"]}}},
        ("/beat/persistence/accessModes/0", "ReadWriteOncePod"),
    ),
    "memory in Kubernetes' words": (
        SHOP | {"valkey": {"maxmemory": "200Mi"}},
        ("/valkey/maxmemory", "200Mi"),
    ),
    "a module path with a slash": (SHOP | {"app": "shop/tasks.py"}, ("/app", "shop/tasks.py")),
}
"""What is wrong → the values, and what must be in the sentence that refuses them."""
