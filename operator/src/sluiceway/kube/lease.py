"""The Lease object that replicas compete for: how it is read, and how it is written.

Every write names the version that it was decided on, so that of two writers one is
refused; and it is a patch, so that labels which others gave the Lease stay.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from sluiceway.kube.errors import NOT_FOUND, KubeError
from sluiceway.kube.requests import MERGE_PATCH
from sluiceway.kube.views import VersionedMetadata, View

log = logging.getLogger(__name__)


class LeaseSpec(View, frozen=True):
    """Who holds it, and how often it has changed hands."""

    holder_identity: str | None = None
    """Empty or None: nobody."""
    lease_duration_seconds: int | None = None
    lease_transitions: int = 0


class Lease(View, frozen=True):
    """A Lease of coordination.k8s.io/v1, as it was read or written last."""

    metadata: VersionedMetadata = VersionedMetadata()
    spec: LeaseSpec = LeaseSpec()


class _OwnMetadata(View, frozen=True):
    uid: str = ""


class _Owner(View, frozen=True):
    metadata: _OwnMetadata = _OwnMetadata()


class Requests(Protocol):
    """The part of a ``KubeClient`` that is needed here."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> bytes:
        """One answer's JSON."""


class LeaseStore:
    """One Lease by name. All calls raise ``KubeError`` when they cannot be told to have worked.

    It needs the verbs get, create and patch, and get for the Deployment.
    """

    def __init__(
        self, client: Requests, *, namespace: str, name: str, deployment: str | None = None
    ) -> None:
        """Ask for nothing yet.

        Args:
            deployment: of the same namespace; the Lease belongs to it and goes with it. None: it
                stays until somebody deletes it.
        """
        self._client = client
        self._name = name
        self._deployment = deployment
        self._deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self._uid: str | None = None
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def read(self, *, timeout_s: float) -> Lease | None:
        """The Lease as it is; None where it does not exist."""
        try:
            body = await self._client.request(
                "GET", f"{self._all}/{self._name}", timeout_s=timeout_s
            )
        except KubeError as exc:
            if exc.status == NOT_FOUND:
                return None
            raise
        return _understood(body)

    async def create(
        self, holder: str, *, duration_s: int, transitions: int, timeout_s: float
    ) -> Lease:
        """Make it, held by ``holder``; refused where it exists by now."""
        spec = _held(holder, duration_s) | {
            "acquireTime": _now(),
            "leaseTransitions": transitions,
        }
        metadata = {"name": self._name, **await self._owned(timeout_s)}
        body = {"metadata": metadata, "spec": spec}
        return await self._written("POST", self._all, body, timeout_s)

    async def take(
        self, lease: Lease, holder: str, *, duration_s: int, transitions: int, timeout_s: float
    ) -> Lease:
        """Write a new holder; refused where it is not as it was read any more."""
        spec = {"acquireTime": _now(), "leaseTransitions": transitions}
        owned = await self._owned(timeout_s)
        return await self._patch(lease, _held(holder, duration_s) | spec, timeout_s, **owned)

    async def renew(self, lease: Lease, holder: str, *, duration_s: int, timeout_s: float) -> Lease:
        """Say that the holder lives; refused where it is not as it was written any more."""
        return await self._patch(lease, _held(holder, duration_s), timeout_s)

    async def release(self, lease: Lease, *, timeout_s: float) -> None:
        """Say that nobody holds it; refused where it is not as it was written any more."""
        await self._patch(lease, _held("", 1), timeout_s)

    async def _owned(self, timeout_s: float) -> dict[str, Any]:
        """What in its metadata says whom it belongs to. Where that cannot be told, it stays."""
        if self._deployment is None:
            return {}
        path = f"{self._deployments}/{self._deployment}"
        try:
            # Each time: one that was made anew has another uid.
            body = await self._client.request("GET", path, timeout_s=timeout_s)
            self._uid = msgspec.json.decode(body, type=_Owner).metadata.uid
        except (KubeError, msgspec.DecodeError) as exc:
            # One that is gone by now takes the Lease with it all the same.
            if self._uid is None:
                log.warning("the Lease will outlast Deployment %s: %s", self._deployment, exc)
        if not self._uid:
            return {}
        owner = {"apiVersion": "apps/v1", "kind": "Deployment"}
        return {"ownerReferences": [owner | {"name": self._deployment, "uid": self._uid}]}

    async def _patch(
        self, lease: Lease, spec: dict[str, Any], timeout_s: float, **metadata: Any
    ) -> Lease:
        body = {
            "metadata": {"resourceVersion": lease.metadata.resource_version, **metadata},
            "spec": spec,
        }
        return await self._written("PATCH", f"{self._all}/{self._name}", body, timeout_s)

    async def _written(
        self, method: str, path: str, body: dict[str, Any], timeout_s: float
    ) -> Lease:
        content_type = MERGE_PATCH if method == "PATCH" else "application/json"
        answer = await self._client.request(
            method, path, body=body, content_type=content_type, timeout_s=timeout_s
        )
        return _understood(answer)


def _understood(answer: bytes) -> Lease:
    try:
        return msgspec.json.decode(answer, type=Lease)
    except msgspec.DecodeError as exc:
        raise KubeError(f"what answers for the API server sent no Lease ({exc})") from exc


def _held(holder: str, duration_s: int) -> dict[str, Any]:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration_s,
        "renewTime": _now(),
    }


def _now() -> str:
    """The time of day in UTC, for people: nobody here decides by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
