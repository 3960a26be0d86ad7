"""Images built here run on the cluster's nodes, also where no image registry is reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testcluster.base_image import ensure_bases, make_base
from testcluster.engine import Engine, ImageError
from testcluster.fixtures import Namespace
from testcluster.local import ClusterNeedsError
from testcluster.provider import Cluster

NAME = "sluiceway.dev/test-cluster/greeting:built"
DOCKERFILE = """\
FROM python:3.13-slim AS base
RUN pip install --no-cache-dir vine
FROM base AS greeting
COPY greet.py /greet.py
USER 65534:65534
ENTRYPOINT ["python", "/greet.py"]
"""
GREETING = """\
import sys, vine
print("hello from", ".".join(map(str, sys.version_info[:2])))
"""


def job(pool: str) -> str:
    pod = {
        "containers": [{"name": "greet", "image": NAME}],
        "restartPolicy": "Never",
        "nodeSelector": {"pool": pool},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
    }
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"greet-{pool}"},
            "spec": {"template": {"spec": pod}},
        }
    )


# The first run on a machine makes the base image, from Debian's packages.
@pytest.mark.timeout(1200)
def test_an_image_built_from_a_dockerfile_runs_on_every_node(
    image_engine: Engine, cluster: Cluster, cluster_namespace: Namespace, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "greet.py").write_text(GREETING)
    ensure_bases(image_engine, tmp_path / "Dockerfile")
    image_engine.build(tmp_path, name=NAME, target="greeting")
    cluster.load_image(image_engine.save(NAME, tmp_path / "greeting.tar"))

    kubectl = cluster_namespace.kubectl
    for pool in ("light", "high-cpu"):
        kubectl.apply(job(pool))
        kubectl.run("wait", f"job/greet-{pool}", "--for=condition=Complete", "--timeout=120s")
        assert kubectl.run("logs", f"job/greet-{pool}") == "hello from 3.13\n"


def test_a_build_that_fails_shows_the_failing_step(image_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    with pytest.raises(ImageError, match="missing"):
        image_engine.build(tmp_path, name="sluiceway.dev/test-cluster/never:built")


def test_a_python_that_debian_lacks_has_no_stand_in() -> None:
    with pytest.raises(ClusterNeedsError, match=r"Debian has Python 3\.11 and 3\.13"):
        make_base(Engine(client="docker", address="unix:///nowhere"), "python:3.12-slim")
