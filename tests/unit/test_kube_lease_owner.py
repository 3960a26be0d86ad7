"""The Lease belongs to the operator's Deployment, and goes with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sluiceway.kube.errors import KubeError
from sluiceway.kube.lease import Lease, LeaseStore

LEASES = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
DEPLOYMENT = "/apis/apps/v1/namespaces/system/deployments/sluiceway"


class Server:
    """What was written, and a Deployment that can be asked for or not."""

    def __init__(self) -> None:
        self.uid = "first"
        self.failure: KubeError | None = None
        self.written: list[dict[str, Any]] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> bytes:
        if path == DEPLOYMENT:
            if self.failure is not None:
                raise self.failure
            return msgspec.json.encode({"metadata": {"name": "sluiceway", "uid": self.uid}})
        assert path.startswith(LEASES)
        self.written.append(body)
        return msgspec.json.encode({"metadata": {"resourceVersion": "1"}, "spec": body["spec"]})

    def owners(self) -> list[list[str]]:
        """The uids of the owners, for each write."""
        return [
            [one["uid"] for one in body["metadata"].get("ownerReferences", ())]
            for body in self.written
        ]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def store(server: Server) -> LeaseStore:
    return LeaseStore(server, namespace="system", name="election", deployment="sluiceway")


async def create(store: LeaseStore) -> Lease:
    return await store.create("one", duration_s=15, transitions=1, timeout_s=5)


async def test_a_new_lease_belongs_to_the_deployment(server: Server, store: LeaseStore) -> None:
    await create(store)
    assert server.written[0]["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sluiceway", "uid": "first"}
    ]


async def test_a_lease_that_is_taken_belongs_to_the_deployment_as_it_is_now(
    server: Server, store: LeaseStore
) -> None:
    lease = await create(store)
    server.uid = "second"
    await store.take(lease, "two", duration_s=15, transitions=2, timeout_s=5)
    assert server.owners() == [["first"], ["second"]]


async def test_who_may_not_ask_for_the_deployment_leads_all_the_same(
    server: Server, store: LeaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    server.failure = KubeError("deployments.apps is forbidden", status=403)
    await create(store)
    assert server.owners() == [[]]
    assert "the Lease will outlast Deployment sluiceway" in caplog.text


async def test_a_lease_that_is_made_after_the_deployment_has_gone_goes_too(
    server: Server, store: LeaseStore
) -> None:
    await create(store)
    server.failure = KubeError("not found", status=404)
    await create(store)
    assert server.owners() == [["first"], ["first"]]


async def test_outside_of_a_cluster_a_lease_belongs_to_nobody(server: Server) -> None:
    await create(LeaseStore(server, namespace="system", name="election"))
    assert server.owners() == [[]]
