"""The rights that ship, against what the operator did in all scenes before this one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from stage.operator import ACCOUNT, Operator
from testcluster.audit import Access, accesses
from testcluster.local import LocalCluster
from testcluster.paths import MANIFESTS
from testcluster.provider import Cluster

HERE = Path(__file__).parent
NOW_AND_THEN = {
    # Only where somebody else wrote to the Deployment between our look and our write.
    Access(group="apps", resource="deployments/scale", verb="get"),
    # A newer API server streams what there is into the watch; an older one is asked for it.
    Access(group="", resource="pods", verb="list"),
    Access(group="apps", resource="deployments", verb="list"),
    Access(group="apps", resource="replicasets", verb="list"),
    Access(group="autoscaling", resource="horizontalpodautoscalers", verb="list"),
}


@pytest.fixture
def used(operator: Operator, cluster: Cluster) -> set[Access]:
    if not isinstance(cluster, LocalCluster):
        pytest.skip("only an API server of our own has an audit log that we may read")
    return set(accesses(cluster.control_plane.audit_log, ACCOUNT))


@pytest.fixture
def granted(operator: Operator) -> set[Access]:
    rendered = operator.cluster.run("kustomize", MANIFESTS / "base")
    roles = {
        one["metadata"]["name"]: one
        for one in yaml.safe_load_all(rendered)
        if one["kind"] in ("Role", "ClusterRole")
    }
    ours = ("sluiceway", "sluiceway-lease", "sluiceway-workerclasses", "sluiceway-nodes")
    return {
        Access(group=group, resource=resource, verb=verb)
        for name in ours
        for rule in roles[name]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_asks_for_nothing_that_it_may_not(
    used: set[Access], granted: set[Access]
) -> None:
    assert used != set()
    assert sorted(used - granted) == []


def test_the_operator_has_no_right_that_it_does_not_use(
    used: set[Access], granted: set[Access], request: pytest.FixtureRequest
) -> None:
    played = {item.path for item in request.session.items if item.path.parent == HERE}
    if played != set(HERE.glob("test_*.py")):
        pytest.skip("not all scenes were played")
    assert sorted(granted - used - NOW_AND_THEN) == []
