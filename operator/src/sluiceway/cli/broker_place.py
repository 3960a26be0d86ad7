"""Which broker a command is to look into: a TaskQueue's, or one that is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluiceway.cli.cluster import KINDS, ask_cluster, usual_namespace
from sluiceway.cli.output import CommandError, ExitCode

if TYPE_CHECKING:
    from sluiceway.broker.address import BrokerAddress
    from sluiceway.broker.reading import BrokerQueue
    from sluiceway.kube.client import KubeClient

NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--namespace",
        help="The TaskQueue's namespace. Default: that of the kubeconfig's context.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(help="Look into this broker, without a cluster: redis://localhost:6379/0."),
]
PrefixOption = Annotated[str, typer.Option(help="With --url: the application's global_keyprefix.")]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Ask this cluster. Default: KUBECONFIG, or the pod's service account, or "
        "~/.kube/config.",
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerPlace:
    """A broker, and what is meant in it."""

    address: BrokerAddress
    prefix: str
    fleet: str | None
    """``namespace/name``; None for all."""
    queues: tuple[BrokerQueue, ...] | None = None
    """The fleet's queues; None where nobody can tell."""
    queue_names: tuple[str, ...] | None = None
    """Their names, where local mode has told no more than these."""

    @property
    def sentence(self) -> str:
        """Where it was looked, for people."""
        prefix = f" behind the prefix {self.prefix}" if self.prefix else ""
        fleet = f", of TaskQueue {self.fleet}" if self.fleet else ""
        return f"{self.address}{prefix}{fleet}"


def place_of(
    url: str | None,
    prefix: str,
    taskqueue: str | None,
    namespace: str | None,
    kubeconfig: Path | None,
) -> BrokerPlace:
    """The broker that a command's options mean: that of ``--url``, else the TaskQueue's.

    Without a namespace or kubeconfig the local modes that run here are asked first.

    Raises:
        CommandError: they mean none, or it cannot be found out.
    """
    if url is not None:
        return _named(url, prefix, taskqueue, namespace)
    if namespace is None and kubeconfig is None:
        here = _in_local_mode(taskqueue)
        if here is not None:
            return here
    if taskqueue is not None:
        return _in_cluster(taskqueue, namespace, kubeconfig)
    raise CommandError(
        "whose? No local mode is running here: name a TaskQueue of a cluster (-q video -n shop), "
        "or a broker (--url redis://localhost:6379/0)"
    )


def _in_local_mode(taskqueue: str | None) -> BrokerPlace | None:
    """The broker of a TaskQueue that local mode runs here, or of all of them; None: of none.

    Raises:
        CommandError: they have several, or one whose address is told to nobody.
    """
    from sluiceway.broker.address import parse_address
    from sluiceway.cli.explain import serves
    from sluiceway.local.rundir import running_stories

    name = None if taskqueue is None else without_kind(taskqueue)
    fleets = [fleet for story in running_stories() for fleet in story.fleets]
    meant = [fleet for fleet in fleets if name is None or serves(fleet, name)]
    if not meant:
        return None
    places = {(fleet.broker, fleet.prefix) for fleet in meant}
    if len(places) > 1:
        raise CommandError(
            "the local modes here have several brokers: name a TaskQueue (-q video), "
            "or a broker (--url redis://localhost:6379/0)"
        )
    ((broker, prefix),) = places
    if broker is None:
        raise CommandError(
            "of a broker with a password or TLS local mode tells no address: give --url"
        )
    return BrokerPlace(
        address=parse_address(broker),
        prefix=prefix,
        fleet=None if name is None else meant[0].now.fleet,
        queue_names=None if name is None else tuple(q.name for q in meant[0].now.queues),
    )


def _named(url: str, prefix: str, taskqueue: str | None, namespace: str | None) -> BrokerPlace:
    """A broker that is given by its URL.

    Raises:
        CommandError: it is none.
    """
    from sluiceway.broker.address import AddressError, parse_address

    fleet = None
    if taskqueue is not None:
        name = without_kind(taskqueue)
        fleet = name if "/" in name else f"{namespace or 'default'}/{name}"
    try:
        return BrokerPlace(address=parse_address(url), prefix=prefix, fleet=fleet)
    except AddressError as exc:
        raise CommandError(f"--url: {exc}") from exc


def _in_cluster(taskqueue: str, namespace: str | None, kubeconfig: Path | None) -> BrokerPlace:
    """The broker of a TaskQueue, its address read where the operator reads it.

    Raises:
        CommandError: it cannot be found out, as a line with the mend.
    """
    name = without_kind(taskqueue)
    if "/" in name:
        namespace, _, name = name.partition("/")
    where = namespace or usual_namespace(kubeconfig)
    return ask_cluster(kubeconfig, lambda client: _look_up(client, where, name))


async def _look_up(client: KubeClient, namespace: str, name: str) -> BrokerPlace:
    import json

    from sluiceway.api.taskqueue import GROUP, VERSION, TaskQueue
    from sluiceway.broker.address import AddressError
    from sluiceway.cluster.urls import address_in, url_of
    from sluiceway.kube.errors import NOT_FOUND, KubeError
    from sluiceway.kube.secrets import KeyReader
    from sluiceway.observe import Watched

    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/taskqueues/{name}"
    try:
        raw: dict[str, Any] = json.loads(await client.request("GET", path))
    except KubeError as exc:
        # A cluster that does not know the kind answers 404, too, and names no object.
        if exc.status != NOT_FOUND or f'"{name}"' not in str(exc):
            raise
        raise CommandError(f"there is no TaskQueue {name} in namespace {namespace}") from exc
    try:
        body = {key: raw[key] for key in ("apiVersion", "kind", "spec")}
        metadata = {"name": name, "namespace": namespace}
        found = TaskQueue.model_validate({**body, "metadata": metadata})
    except (KeyError, ValueError) as exc:
        raise CommandError(
            f"TaskQueue {namespace}/{name} is not valid: {exc}", ExitCode.PROBLEMS
        ) from exc
    template = found.spec.worker.template
    pod: Mapping[str, Any] = template.get("spec") or {}
    url = await url_of(found, pod, KeyReader(client))
    if url.value is None:
        problem = url.problem.sentence if url.problem is not None else "it names no broker"
        raise CommandError(f"{namespace}/{name}: {problem}; or give --url", ExitCode.UNAVAILABLE)
    try:
        address = address_in(found, url.value)
    except AddressError as exc:
        raise CommandError(f"{namespace}/{name}: {exc}", ExitCode.UNAVAILABLE) from exc
    return BrokerPlace(
        address=address,
        prefix=found.spec.broker.key_prefix,
        fleet=f"{namespace}/{name}",
        queues=Watched.of(found, url.value).broker_queues,
    )


def without_kind(name: str) -> str:
    """``tq/video`` as ``video``; a key, ``shop/video``, stays as it is."""
    kind, slash, rest = name.partition("/")
    return rest if slash and kind in KINDS else name
