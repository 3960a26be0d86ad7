"""What the commands share that ask a cluster: where it is, and how asking it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sluiceway.cli.output import CommandError, ExitCode

if TYPE_CHECKING:
    from sluiceway.kube.client import KubeClient

T = TypeVar("T")

KINDS = ("tq", "taskqueue", "taskqueues", "taskqueue.sluiceway.dev", "taskqueues.sluiceway.dev")
"""What kubectl takes for the kind in ``kind/name``."""


def ask_cluster(kubeconfig: Path | None, ask: Callable[[KubeClient], Awaitable[T]]) -> T:
    """Run ``ask`` with a client.

    Args:
        kubeconfig: None for the usual one.

    Raises:
        CommandError: the cluster cannot be asked, as a line.
    """
    from sluiceway.kube.client import KubeClient
    from sluiceway.kube.errors import KubeError

    # What is wrong is an error here, or part of the view; it is not written across it.
    logging.getLogger().addHandler(logging.NullHandler())

    async def run() -> T:
        async with await KubeClient.connect(kubeconfig) as client:
            return await ask(client)

    try:
        return asyncio.run(run())
    except KubeError as exc:
        raise unavailable(exc) from exc


def usual_namespace(kubeconfig: Path | None) -> str:
    """The namespace of the kubeconfig's current context.

    Raises:
        CommandError: the kubeconfig cannot be read.
    """
    from sluiceway.kube import context
    from sluiceway.kube.errors import KubeError

    logging.getLogger().addHandler(logging.NullHandler())
    try:
        return context.usual_namespace(kubeconfig)
    except KubeError as exc:
        raise unavailable(exc) from exc


def unavailable(exc: Exception) -> CommandError:
    """A ``KubeError`` as the end of a command."""
    from sluiceway.kube.errors import NOT_FOUND

    if getattr(exc, "status", None) == NOT_FOUND:
        return CommandError(
            "this cluster knows no TaskQueues: install Sluiceway in it, or choose another "
            "cluster with --kubeconfig",
            ExitCode.UNAVAILABLE,
        )
    return CommandError(str(exc), ExitCode.UNAVAILABLE)
