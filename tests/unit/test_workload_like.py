"""What workers take from the web's own Deployment."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.worker import Like
from sluiceway.workload.like import take_after
from sluiceway.workload.unmakeable import UnmakeableError

MOUNT = {"name": "uploads", "mountPath": "/uploads"}
UPLOADS = {"name": "uploads", "persistentVolumeClaim": {"claimName": "uploads"}}
APP: dict[str, Any] = {
    "name": "app",
    "image": "shop:1",
    "imagePullPolicy": "Always",
    "workingDir": "/srv",
    "env": [{"name": "DATABASE", "value": "db"}],
    "envFrom": [{"secretRef": {"name": "shop"}}],
    "volumeMounts": [MOUNT],
    "command": ["gunicorn", "shop"],
    "ports": [{"containerPort": 8000}],
    "readinessProbe": {"httpGet": {"port": 8000}},
    "resources": {"requests": {"cpu": "100m"}},
    "securityContext": {"runAsUser": 1000, "privileged": True},
}
PROXY = {"name": "proxy", "image": "proxy:1", "volumeMounts": [{"name": "certs"}]}
POD: dict[str, Any] = {
    "containers": [APP, PROXY],
    "volumes": [UPLOADS, {"name": "certs", "emptyDir": {}}],
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "shop",
    "nodeSelector": {"pool": "light"},
    "securityContext": {"fsGroup": 2000, "sysctls": []},
}


def of(container: str | None = "app", **pod: Any) -> Any:
    return take_after(Like(name="web", container=container), {"spec": {**POD, **pod}})


def test_the_program_and_its_surroundings_are_taken_and_what_makes_it_a_web_is_not() -> None:
    taken = of()
    assert taken.container == {
        "image": "shop:1",
        "imagePullPolicy": "Always",
        "workingDir": "/srv",
        "env": APP["env"],
        "envFrom": APP["envFrom"],
        "volumeMounts": [MOUNT],
        "securityContext": {"runAsUser": 1000},
    }
    assert taken.pod == {
        "volumes": [UPLOADS],
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "shop",
        "securityContext": {"fsGroup": 2000},
    }


def test_the_only_container_need_not_be_named() -> None:
    assert of(None, containers=[APP]).container["image"] == "shop:1"


def test_a_service_accounts_token_is_taken_only_where_the_web_asked_for_it() -> None:
    assert of(automountServiceAccountToken=True).pod["automountServiceAccountToken"] is True
    assert "automountServiceAccountToken" not in of(automountServiceAccountToken=False).pod


def test_root_is_not_taken_along() -> None:
    root = {"runAsUser": 0, "runAsGroup": 0}
    assert of(securityContext=root).pod["securityContext"] == {"runAsGroup": 0}


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        (
            "apq",
            "worker.like.container: the Deployment web has no container apq: write one of app, "
            "proxy",
        ),
        (
            None,
            "worker.like: the Deployment web has several containers (app, proxy): name the "
            "application's as container",
        ),
    ],
)
def test_a_container_that_cannot_be_told_is_said_with_its_mend(
    container: str | None, sentence: str
) -> None:
    with pytest.raises(UnmakeableError) as told:
        of(container)
    assert told.value.sentence == sentence
