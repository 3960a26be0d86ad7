"""An operator that ends itself by SIGKILL at one step of a drain or of a recovery.

    python -m benchmarks.soak.dying KUBECONFIG NAMESPACE FOLDER

It is the operator as it is, in a process of its own. A step is a batch of commands to the
broker, or a write to the API server; see ``points`` for where it dies, and how that is armed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.soak.points import DRAIN, RECOVERY, Points
from sluiceway.broker import commands
from sluiceway.broker.connection import Broker
from sluiceway.broker.scripts import ScriptCall
from sluiceway.cluster.process import Options, run
from sluiceway.kube.client import KubeClient
from sluiceway.reconcile import Pace
from sluiceway_worker.recovery import LET_GO, MOVE

_SCRIPTS = {commands._HOLD.sha: "lease", commands._FORGET.sha: "forget"}
_READS = ("HGETALL", "EXISTS", "HSTRLEN", "HMGET", "GETRANGE")


def step_of(batch: Sequence[Any]) -> tuple[str, str]:
    """(kind, name) of what goes to the broker; two "" for what is no step."""
    first = batch[0] if batch else ()
    if isinstance(first, ScriptCall):
        name = _SCRIPTS.get(first.script.sha, "")
        return (DRAIN, name) if name else ("", "")
    words = [str(part) for part in first]
    word = words[0] if words else ""
    if word == "EVAL" and words[1] in (MOVE, LET_GO):
        return RECOVERY, "move" if words[1] == MOVE else "let go"
    if word in _READS:
        # Without what differs each time: an incarnation, a task's id.
        return RECOVERY, f"{word} {':'.join(words[1].split(':')[:2]).partition('-meta-')[0]}"
    return "", ""


def watch(points: Points) -> None:
    """Have all that this process sends pass the points."""
    sends, asks = Broker.run, KubeClient.request

    async def send(self: Broker, batch: Sequence[Any]) -> list[Any]:
        kind, step = step_of(batch)
        if not step:
            return await sends(self, batch)
        points.pass_(kind, step, "before")
        replies = await sends(self, batch)
        points.pass_(kind, step, "after")
        return replies

    async def ask(self: KubeClient, method: str, path: str, **more: Any) -> bytes:
        parts = path.strip("/").split("/")
        step = ""
        if method == "PATCH" and "pods" in parts:
            step = "mark"
        elif method == "PATCH" and "deployments" in parts:
            step = "scale" if parts[-1] == "scale" else "take over"
        if step:
            points.pass_(DRAIN, step, "before")
        answer = await asks(self, method, path, **more)
        if step:
            points.pass_(DRAIN, step, "after")
        return answer

    Broker.run = send  # type: ignore[method-assign]
    KubeClient.request = ask  # type: ignore[method-assign]


def main() -> None:
    kubeconfig, namespace, folder = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    watch(Points(Path(folder)))
    options = Options(
        agent_image="sluiceway-agent:0.1.0",
        namespaces=(namespace,),
        lease_namespace=namespace,
        kubeconfig=Path(kubeconfig),
        address="127.0.0.1:0",
        pace=Pace(busy_s=0.5, idle_s=2.0),
    )
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
