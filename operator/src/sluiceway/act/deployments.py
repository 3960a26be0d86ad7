"""Every write that a fleet's Deployment and pods are given.

Each asks right before it is sent whether this replica still leads, and each may be sent
twice: applies are declarative, numbers absolute, annotations set to a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from sluiceway.kube.errors import CONFLICT, KubeError
from sluiceway.kube.requests import APPLY_PATCH, MERGE_PATCH, Requests
from sluiceway.kube.views import Deployment
from sluiceway.workload.birth import BIRTH_MANAGER, held_at_zero, newborn
from sluiceway.workload.deployment import FIELD_MANAGER

APPLIED = "sluiceway.dev/applied"
"""Annotation of our Deployments: which manifest was applied last, so that a new leader
need not apply them all again."""

EPOCH = "sluiceway.dev/epoch"
"""Annotation of our Deployments: the latest leader that took the fleet over. Writing it
gives the Deployment a new version, which a late write of the leader before does not fit."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
GOES_FIRST = "-1000"
"""Below what anybody else would give a pod that it wants to keep."""


class NotLeadingError(Exception):
    """This replica does not lead any more: whatever it was about to write is not its to say."""


class Deployments:
    """Makes, changes and scales Deployments, and marks their pods.

    All calls raise ``KubeError`` where the API server could not be asked or says no, and
    ``NotLeadingError`` where this replica may not act.
    """

    def __init__(
        self, client: Requests, *, may_act: Callable[[], bool], dry_run: bool = False
    ) -> None:
        """Write nothing yet.

        Args:
            may_act: whether this replica is the only one that acts, at this moment.
            dry_run: ask the API server to check what would be applied, and change nothing.
        """
        self._client = client
        self._may_act = may_act
        self._dry_run = dry_run

    async def create(self, manifest: dict[str, Any]) -> None:
        """Make a Deployment without a worker."""
        await self._apply(newborn(marked(manifest)), FIELD_MANAGER)

    async def apply(self, manifest: dict[str, Any], *, has_none: bool) -> None:
        """Let an existing Deployment be as ``manifest`` says; its number stays as it is.

        Args:
            has_none: whether no worker was asked for when it was seen last. The number may
                then still be the one that it was born with (``workload.birth``).
        """
        if has_none and not self._dry_run:
            try:
                await self._apply(held_at_zero(manifest), BIRTH_MANAGER, force=False)
            except KubeError as exc:
                if exc.status != CONFLICT:
                    raise
        await self._apply(marked(manifest), FIELD_MANAGER)

    async def scale(self, deployment: Deployment, replicas: int) -> bool:
        """Ask for ``replicas`` of a Deployment that looks as ``deployment`` says.

        Only the number has to be as it was: a Deployment's status changes with every pod.

        Returns:
            Whether the number was changed: in a dry run it is not.

        Raises:
            KubeError: also (409) where somebody else has scaled it since.
        """
        seen = deployment.metadata.resource_version
        for is_last in (False, True):
            try:
                await self._scale(deployment, replicas, seen)
                break
            except KubeError as exc:
                if exc.status != CONFLICT or is_last:
                    raise
                now = json.loads(await self._client.request("GET", f"{_path(deployment)}/scale"))
                if now["spec"].get("replicas", 0) != deployment.spec.replicas:
                    raise
                seen = now["metadata"]["resourceVersion"]
        return not self._dry_run

    async def take_over(self, deployment: Deployment, epoch: int) -> None:
        """Be the one who wrote to it last, before anything else is done in this term."""
        await self._write(
            "PATCH",
            _path(deployment),
            {"metadata": {"annotations": {EPOCH: str(epoch)}}},
            MERGE_PATCH,
            {"fieldManager": FIELD_MANAGER},
        )

    async def mark(self, namespace: str, pod: str, *, goes_first: bool) -> None:
        """Say of a pod that it goes before the others when its fleet shrinks, or no longer."""
        cost = GOES_FIRST if goes_first else None
        await self._write(
            "PATCH",
            f"/api/v1/namespaces/{namespace}/pods/{pod}",
            {"metadata": {"annotations": {DELETION_COST: cost}}},
            MERGE_PATCH,
            {"fieldManager": FIELD_MANAGER},
        )

    async def _scale(self, deployment: Deployment, replicas: int, version: str) -> None:
        await self._write(
            "PATCH",
            f"{_path(deployment)}/scale",
            {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}},
            MERGE_PATCH,
            {"fieldManager": FIELD_MANAGER},
        )

    async def _apply(self, manifest: dict[str, Any], manager: str, *, force: bool = True) -> None:
        meta = manifest["metadata"]
        path = f"/apis/apps/v1/namespaces/{meta['namespace']}/deployments/{meta['name']}"
        query = {"fieldManager": manager, "force": str(force).lower()}
        if self._dry_run:
            self._check_leads()
            query["dryRun"] = "All"
            await self._client.request(
                "PATCH", path, query=query, body=manifest, content_type=APPLY_PATCH
            )
            return
        await self._write("PATCH", path, manifest, APPLY_PATCH, query)

    async def _write(
        self, method: str, path: str, body: Any, content_type: str, query: Mapping[str, str]
    ) -> None:
        if self._dry_run:
            return
        self._check_leads()
        await self._client.request(method, path, query=query, body=body, content_type=content_type)

    def _check_leads(self) -> None:
        if not self._may_act():
            raise NotLeadingError


def marked(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the mark of itself."""
    meta = manifest["metadata"]
    annotations = {**meta.get("annotations", {}), APPLIED: mark_of(manifest)}
    return {**manifest, "metadata": {**meta, "annotations": annotations}}


def mark_of(manifest: dict[str, Any]) -> str:
    """The same for the same manifest, and for no other."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:16]


def _path(deployment: Deployment) -> str:
    meta = deployment.metadata
    return f"/apis/apps/v1/namespaces/{meta.namespace}/deployments/{meta.name}"
