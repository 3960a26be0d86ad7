"""`sluiceway operator`: watches TaskQueues in a cluster and gives each its workers."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from sluiceway.cli.output import CommandError, ExitCode
from sluiceway.report.logs import LogFormat


def operator(
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "-n",
            "--namespace",
            help="Only this namespace's TaskQueues; may be given several times.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Decide, and tell it in the log and the metrics; change nothing."
        ),
    ] = False,
    agent_image: Annotated[
        str | None,
        typer.Option(
            envvar="SLUICEWAY_AGENT_IMAGE",
            help="What is injected into workers. Default: sluiceway-agent of this version.",
        ),
    ] = None,
    lease_namespace: Annotated[
        str | None,
        typer.Option(
            envvar="POD_NAMESPACE",
            help="Where the Lease is, by which one of several replicas leads. Default: default.",
        ),
    ] = None,
    lease_name: Annotated[
        str,
        typer.Option(
            help="What the Lease is called. Operators with TaskQueues of their own in one "
            "namespace need one each."
        ),
    ] = "sluiceway",
    deployment: Annotated[
        str | None,
        typer.Option(
            envvar="DEPLOYMENT_NAME",
            help="The Deployment that it is a pod of, in the Lease's namespace: the Lease goes "
            "with it. Default: none, and the Lease stays.",
        ),
    ] = None,
    kube_api_qps: Annotated[
        float,
        typer.Option(
            min=1,
            help="Requests to the API server a second, at most; watches and the Lease apart.",
        ),
    ] = 500.0,
    kube_api_burst: Annotated[
        int, typer.Option(min=1, help="So many of them at once after a pause.")
    ] = 1_000,
    waking_connections: Annotated[
        int,
        typer.Option(
            min=0,
            help="Brokers that may hold a connection open by which they say that a queue "
            "changed; the others are asked every second.",
        ),
    ] = 1_000,
    address: Annotated[
        str, typer.Option(help="Where /healthz, /readyz and /metrics are served.")
    ] = ":8080",
    log_format: Annotated[
        LogFormat, typer.Option(help="json: one object a line.")
    ] = LogFormat.TEXT,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Default: KUBECONFIG, or the pod's service account, or ~/.kube/config.",
        ),
    ] = None,
) -> None:
    """Give every TaskQueue of a cluster the number of workers it needs.

    Runs in a pod (manifests/base, or the chart), or here with a kubeconfig. Of several
    replicas one leads, by a Lease; the others are there at once when it is gone.
    """
    from sluiceway.cluster.process import Options, run
    from sluiceway.cluster.serving import ServingError, parse_listen_address
    from sluiceway.kube.errors import KubeError
    from sluiceway.report.logs import set_up_logging

    try:
        parse_listen_address(address)
    except ServingError as exc:
        raise CommandError(f"--address: {exc}") from exc
    set_up_logging(log_format)
    options = Options(
        namespaces=tuple(namespace or ()),
        dry_run=dry_run,
        lease_namespace=lease_namespace or "default",
        lease_name=lease_name,
        kube_api_qps=kube_api_qps,
        kube_api_burst=kube_api_burst,
        waking_connections=waking_connections,
        deployment=deployment,
        agent_image=agent_image or f"sluiceway-agent:{version('sluiceway')}",
        kubeconfig=kubeconfig,
        address=address,
        pod=os.environ.get("POD_NAME"),
    )
    try:
        asyncio.run(run(options))
    except* (KubeError, ServingError) as exc:
        first: BaseException = exc
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise CommandError(str(first), ExitCode.UNAVAILABLE) from first
