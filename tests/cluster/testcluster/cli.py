"""The test cluster at a terminal: ``python tests/cluster COMMAND``."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from testcluster import prometheus, standing
from testcluster.build import BuildError, ensure_built
from testcluster.control_plane import ControlPlane
from testcluster.engine import ImageError
from testcluster.kubectl import KubectlError
from testcluster.local import ClusterNeedsError, missing_image_packages, missing_packages
from testcluster.network import NetworkError
from testcluster.node import NodeError
from testcluster.processes import StartError
from testcluster.provider import Provider
from testcluster.toolchain import ToolchainMissingError

EXPECTED = (
    BuildError,
    ClusterNeedsError,
    ImageError,
    KubectlError,
    NetworkError,
    NodeError,
    StartError,
    ToolchainMissingError,
)
"""Errors whose message is all that a person needs."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ends the process with 1 and a message when it fails."""
    chosen = _parser().parse_args(arguments)
    try:
        match chosen.command:
            case "build":
                print(ensure_built().folder)
            case "packages":
                packages(install=chosen.install)
            case "control-plane":
                control_plane()
            case "up":
                standing.up(Provider(chosen.provider))
                print(f"export KUBECONFIG={standing.kubeconfig()}")
            case "down":
                standing.down()
            case "load":
                standing.load(chosen.archive)
            case "hold":
                standing.hold()
    except EXPECTED as error:
        sys.exit(str(error))


def packages(*, install: bool) -> None:
    """Print the Debian packages that the tests lack here, or install them.

    Of Prometheus only the programs are wanted: its package is unpacked, not installed.
    """
    missing = missing_packages() + missing_image_packages()
    unpacked = [name for name in prometheus.PROGRAMS if prometheus.program(name) is None]
    if not install or not (missing or unpacked):
        print(" ".join(missing + (["prometheus"] if unpacked else [])))
        return
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    for step in (["apt-get", "update", "--quiet"], *([command] if missing else [])):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterNeedsError(f"{' '.join(step)} failed:\n{done.stderr.strip()}")
    prometheus.fetch()


def control_plane() -> None:
    """Run a control plane in a temporary folder until Ctrl-C or SIGTERM."""
    with (
        tempfile.TemporaryDirectory(prefix="control-plane-") as folder,
        ControlPlane(ensure_built(), Path(folder)) as running,
    ):
        print(f"export KUBECONFIG={running.kubectl.kubeconfig}")
        print(f"export PATH={running.programs.folder}:$PATH  # kubectl", flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/cluster", description="A Kubernetes for tests on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build the programs, if they are not in the cache")
    needs = commands.add_parser(
        "packages", help="the Debian packages that nodes and image builds lack here"
    )
    needs.add_argument("--install", action="store_true", help="install them")
    commands.add_parser("control-plane", help="a control plane without nodes, until Ctrl-C")
    up = commands.add_parser("up", help="a cluster with two nodes, which stays until `down`")
    up.add_argument(
        "--provider", choices=[Provider.LOCAL.value, Provider.KIND.value], default="local"
    )
    commands.add_parser("down", help="take that cluster away")
    load = commands.add_parser("load", help="make an image known to its nodes")
    load.add_argument("archive", type=Path, help="as `docker save` writes it")
    commands.add_parser("hold", help="be the harness that `up` starts")
    return parser
