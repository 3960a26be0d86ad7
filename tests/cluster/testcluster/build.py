"""The cluster's programs, built once for each state of their sources.

``go.mod`` names the Kubernetes version; the cache key is that version and a
hash of everything that could change the outcome. A build from nothing takes
minutes, one with Go's own cache warm takes the linking alone, and a hit costs a
look at the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcluster.paths import BINARIES, cache_folder
from testcluster.toolchain import find_go

PROGRAMS = ("kube", "dns", "pause", "probe")
"""The folders of the Go module that hold a `main`."""


class BuildError(RuntimeError):
    """A program did not build; the message ends with the compiler's words."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The built programs of one cache entry."""

    folder: Path
    version: str
    """Of Kubernetes, with its leading v."""

    @property
    def kube(self) -> Path:
        """All of Kubernetes; its first argument names the program."""
        return self.folder / "kube"

    @property
    def kubectl(self) -> Path:
        """A link to :attr:`kube` that is `kubectl` by its name."""
        return self.folder / "kubectl"

    @property
    def dns(self) -> Path:
        """CoreDNS."""
        return self.folder / "dns"

    @property
    def pause(self) -> Path:
        """The first process of sandboxes and nodes."""
        return self.folder / "pause"

    @property
    def probe(self) -> Path:
        """What tests run in pods to look at the cluster from there."""
        return self.folder / "probe"


def kubernetes_version() -> str:
    """The version that go.mod requires, for example ``v1.36.3``."""
    line = re.search(r"^\tk8s\.io/kubernetes (v\S+)$", (BINARIES / "go.mod").read_text(), re.M)
    assert line is not None, "go.mod does not require k8s.io/kubernetes"
    return line[1]


def ensure_built() -> Programs:
    """The programs for the sources as they are now, built if they are not in the cache.

    Builders that meet wait for one another, also across checkouts.

    Raises:
        BuildError: a program does not build.
        ToolchainMissingError: there is no Go to build with.
    """
    version = kubernetes_version()
    programs = Programs(folder=cache_folder() / f"{version}-{_source_hash()}", version=version)
    if programs.folder.exists():
        return programs
    with _lock(cache_folder() / "build.lock"):
        if not programs.folder.exists():
            _build(programs)
    return programs


def _build(programs: Programs) -> None:
    go = find_go()
    began = time.monotonic()
    print(
        f"building Kubernetes {programs.version} for tests "
        "(about 5 minutes on 2 cores with an empty Go cache)",
        file=sys.stderr,
    )
    # A partial build never has the final name, so a hit is always a whole one.
    partial = programs.folder.with_name(programs.folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for program in PROGRAMS:
        done = subprocess.run(
            # A build fills every core for minutes; whoever works here goes first.
            ["nice", "-n", "19", go, "build", *_flags(), "-o", partial / program, f"./{program}"],
            cwd=BINARIES,
            env=os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(f"`go build ./{program}` in {BINARIES} failed:\n{done.stderr[-4000:]}")
    (partial / "kubectl").symlink_to("kube")
    partial.rename(programs.folder)
    print(f"built in {time.monotonic() - began:.0f} s: {programs.folder}", file=sys.stderr)


def _flags() -> list[str]:
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    # Without these the server calls itself v0.0.0-master, which kubectl cannot parse.
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = [f"-X {p}.{name}={value}" for p in packages for name, value in stamp.items()]
    return [
        "-trimpath",
        "-buildvcs=false",
        "-mod=readonly",
        "-ldflags",
        " ".join(["-s", "-w", *values]),
    ]


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(BINARIES.rglob("*")):
        if path.suffix in {".go", ".mod", ".sum"}:
            digest.update(f"{path.relative_to(BINARIES)}\0".encode() + path.read_bytes() + b"\0")
    digest.update("\0".join([*_flags(), *PROGRAMS, platform.machine()]).encode())
    return digest.hexdigest()[:12]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
