"""Prometheus' own programs for the tests of metrics and alerts: Debian's, unpacked in the cache.

Unpacked and not installed, so that no service starts and nobody needs to be root.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from testcluster.local import ClusterNeedsError
from testcluster.paths import cache_folder

PROGRAMS = ("promtool", "prometheus")
MISSING = (
    "is neither on the PATH nor in the cache; "
    "`python tests/cluster packages --install` brings it where Debian's packages are reached"
)


def program(name: str) -> Path | None:
    """One of ``PROGRAMS``: on the PATH, or in the cache; None where it is in neither."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    cached = _folder() / "usr" / "bin" / name
    return cached if cached.exists() else None


def fetch() -> None:
    """Bring them into the cache, where they are missing.

    Raises:
        ClusterNeedsError: Debian's package cannot be had here.
    """
    if all(program(name) for name in PROGRAMS):
        return
    folder = _folder()
    # Unpacked beside the final place and renamed: what is half there is never found.
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="prometheus-") as download:
        _run("apt-get", "--quiet", "download", "prometheus", within=Path(download))
        (archive,) = Path(download).glob("prometheus_*.deb")
        _run("dpkg-deb", "--extract", archive, partial, within=Path(download))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _folder() -> Path:
    return cache_folder().parent / "prometheus"


def _run(*command: str | Path, within: Path) -> None:
    try:
        done = subprocess.run(command, cwd=within, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterNeedsError(f"Prometheus comes as a Debian package: {error}") from error
    if done.returncode != 0:
        raise ClusterNeedsError(
            f"{' '.join(map(str, command))} failed:\n{done.stderr.strip() or done.stdout.strip()}"
        )
