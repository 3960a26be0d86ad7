"""Nodes that are lost: what ran on one has ended, though no kubelet is left to say so.

Two words count. A Node object that is gone, which whoever runs the machines deletes when
the machine is; and the taint `out-of-service`, by which a person says that a machine is shut
down. A node that is merely not ready proves nothing: what runs on it may run on.

Looking at nodes needs a right of its own, which is optional. Without it nothing is known of
them, and it is silence that decides.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from sluiceway.kube.errors import KubeError
from sluiceway.kube.listwatch import Asks
from sluiceway.kube.views import NODES, Node
from sluiceway.kube.watch import Watch

log = logging.getLogger(__name__)

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint: https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/"""

MISSING_FOR_S = 15.0
"""For so long a Node must be missing. One that is made anew under its name is back by then,
and a pod may be seen before its node is."""

_REMEMBERED_S = 3600.0
_ASK_AGAIN_S = 60.0
FORBIDDEN = 403


class Nodes:
    """The nodes of the cluster, as far as they may be seen."""

    def __init__(self, client: Asks, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is known before ``run``.

        Args:
            clock: monotonic, seconds.
        """
        self._client = client
        self._clock = clock
        self._missing: dict[str, float] = {}
        """Nodes that were looked for in vain, and since when."""
        self.watch: Watch[Node] = Watch(client, NODES, changed=self._changed, clock=clock)

    def lost(self, name: str) -> str | None:
        """Why whatever ran on this node has ended, for people; None: it may run on.

        Args:
            name: a pod's ``spec.nodeName``.
        """
        if not name or not self.watch.fresh:
            return None
        node = self.watch.objects.get(f"/{name}")
        if node is not None:
            return f"node {name} is out of service" if is_out_of_service(node) else None
        since = self._missing.setdefault(name, self._clock())
        return f"node {name} is gone" if self._clock() - since >= MISSING_FOR_S else None

    async def run(self) -> None:
        """Look at them until cancelled, as soon as that is allowed."""
        told = False
        while not await self._may_look():
            if not told:
                told = True
                log.info(
                    "the operator may not look at nodes: what the workers of a lost node held "
                    "comes back after worker.unprovenDeathAfter of silence; list and watch of "
                    "nodes (rbac.nodes in the chart) bring it back as soon as the node is gone"
                )
            await asyncio.sleep(_ASK_AGAIN_S)
        await self.watch.run()

    async def _may_look(self) -> bool:
        try:
            await self._client.request("GET", NODES.path(None), query={"limit": "1"})
        except KubeError as exc:
            # Of any other trouble the watch tells, and mends it.
            return exc.status != FORBIDDEN
        return True

    def _changed(self, before: Node | None, now: Node | None) -> None:
        one = now or before
        assert one is not None
        self._missing.pop(one.metadata.name, None)
        if now is None:
            at = self._clock()
            # Names of nodes are seldom used twice, where they come and go.
            self._missing = {
                name: since for name, since in self._missing.items() if at - since < _REMEMBERED_S
            }
            self._missing[one.metadata.name] = at


def is_out_of_service(node: Node) -> bool:
    """Whether a person has said that this machine is shut down."""
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
