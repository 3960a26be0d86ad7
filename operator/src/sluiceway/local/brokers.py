"""Which broker each TaskQueue of a local run is on, and whether one must be brought along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import BrokerAddress, with_master_name

EMBEDDED = None
"""Stands for the embedded server, whose address is not known before it runs."""


def choose_brokers(
    taskqueues: Iterable[TaskQueue],
    *,
    env: Mapping[str, str],
    given: str | None = None,
    embedded: bool = False,
) -> dict[str, str | None]:
    """The broker URL of each TaskQueue by its key, ``EMBEDDED`` where one is brought along.

    What is given for the run (``--broker``, ``--embedded``) wins over what the
    TaskQueues say, so that a file written for a cluster runs here as it is.
    References to Secrets and ConfigMaps need a cluster: here they count as not
    given, and so does a variable that is not set.
    """
    found = {}
    for tq in taskqueues:
        url = EMBEDDED if embedded else (given or _own(tq, env))
        found[tq.key] = url and with_master_name(url, tq.spec.broker.master_name)
    return found


def openly(address: BrokerAddress | None) -> str | None:
    """An address as other commands of this user may read it; None where a secret belongs to it."""
    if address is None or address.password is not None or address.tls is not None:
        return None
    return str(address)


def _own(taskqueue: TaskQueue, env: Mapping[str, str]) -> str | None:
    broker = taskqueue.spec.broker
    if broker.url is not None:
        return broker.url
    if broker.url_from is not None and broker.url_from.env is not None:
        return env.get(broker.url_from.env) or EMBEDDED
    return EMBEDDED
