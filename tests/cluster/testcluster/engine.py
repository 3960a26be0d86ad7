"""A container engine to build images with: the user's own, or one for the moment.

Where a Docker engine answers, it is used. Elsewhere Debian's is started with its
data in the cache, so that a second build finds the first one's layers. It gets no
bridge and no iptables rules: it only builds, and builds use the host's network.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcluster.local import ClusterNeedsError
from testcluster.paths import cache_folder
from testcluster.processes import Process

START_SECONDS = 60.0
BUILD_SECONDS = 1800.0


class ImageError(RuntimeError):
    """The engine said no; the message ends with its words."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A Docker engine that answers."""

    client: str
    """The `docker` program that speaks with it."""
    address: str | None = None
    """As for DOCKER_HOST; None for the client's own default, the user's engine."""

    def run(self, *arguments: str | Path, stdin: Path | None = None) -> str:
        """Run a docker command and return its standard output.

        Raises:
            ImageError: it failed.
        """
        place = {"DOCKER_HOST": self.address} if self.address is not None else {}
        with (stdin or Path(os.devnull)).open("rb") as source:
            done = subprocess.run(
                [self.client, *arguments],
                stdin=source,
                capture_output=True,
                text=True,
                check=False,
                timeout=BUILD_SECONDS,
                env=os.environ | {"DOCKER_BUILDKIT": "1"} | place,
            )
        if done.returncode != 0:
            raise ImageError(f"docker {arguments[0]} failed:\n{done.stderr.strip()[-4000:]}")
        return done.stdout

    def has(self, image: str) -> bool:
        """Whether an image of that name is here already."""
        return self.run("images", "--quiet", image).strip() != ""

    def build(
        self, context: Path, *, name: str, target: str | None = None, dockerfile: Path | None = None
    ) -> None:
        """Build an image, as users do with `docker build`.

        Args:
            context: the folder that the Dockerfile's COPY reads from.
            name: what the image is called, with its tag.
            target: the stage to build; None for the last.
            dockerfile: None for the context's own.
        """
        stage = ["--target", target] if target is not None else []
        file = ["--file", str(dockerfile)] if dockerfile is not None else []
        self.run("build", "--network=host", "--tag", name, *stage, *file, context)

    def save(self, image: str, archive: Path) -> Path:
        """Write an image as a docker archive, for `Cluster.load_image`."""
        self.run("save", "--output", archive, image)
        return archive


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine for the time of the context.

    Raises:
        ClusterNeedsError: none answers, and none can be started here.
    """
    own = Engine(client="docker")
    if shutil.which("docker") is not None and _answers(own):
        yield own
        return
    with _debians() as started:
        yield started


@contextmanager
def _debians() -> Iterator[Engine]:
    daemon = shutil.which("dockerd")
    if daemon is None or os.geteuid() != 0:
        raise ClusterNeedsError(
            "building images needs a Docker engine: start one, or, as root, "
            "apt-get install docker.io"
        )
    data = cache_folder() / "engine"
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = f"unix://{folder}/docker.sock"
        # The client beside the daemon: other clients may lack a builder that fits.
        started = Engine(client=str(Path(daemon).parents[1] / "bin" / "docker"), address=address)
        process = Process(
            "dockerd",
            [
                # It knows no lifeline: left behind, it would keep every later engine out.
                *("setpriv", "--pdeathsig", "TERM"),
                daemon,
                f"--data-root={data / 'data'}",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                f"--host={address}",
                *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
            ],
            log=Path(folder) / "dockerd.log",
        )
        process.start()
        try:
            process.wait_until(lambda: _answers(started), START_SECONDS)
            yield started
        finally:
            process.stop()


def _answers(candidate: Engine) -> bool:
    try:
        candidate.run("version")
    except ImageError:
        return False
    return True
