"""A cgroup of its own for each node, on version 1 and version 2 alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> None:
    """Make the group `name` at the root of every hierarchy that the kubelet uses."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # A new v1 cpuset is empty, and nothing may run in an empty one.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists() and not unified():
                (group / file).write_text((hierarchy / file).read_text())
    if unified():
        controllers = (ROOT / "cgroup.controllers").read_text().split()
        enable = " ".join(f"+{controller}" for controller in controllers)
        for group in (ROOT, ROOT / name):
            (group / "cgroup.subtree_control").write_text(enable)


def remove(name: str, seconds: float = 10.0) -> None:
    """Remove the group and all below it, once its last process is gone."""
    deadline = time.monotonic() + seconds
    # All hierarchies: container runtimes make groups in more than the kubelet does.
    left = [group for group in (ROOT / name, *ROOT.glob(f"*/{name}")) if group.exists()]
    while left:
        left = [group for group in left if not _removed(group)]
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _removed(group: Path) -> bool:
    folders = [group, *(path for path in group.rglob("*") if path.is_dir())]
    try:
        for folder in sorted(folders, reverse=True):
            folder.rmdir()
    except OSError:
        return not group.exists()
    return True


def unified() -> bool:
    """Whether the machine has version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def _hierarchies() -> Iterator[Path]:
    if unified():
        yield ROOT
        return
    for path in ROOT.iterdir():
        # Controllers mounted together appear once more as links (cpu → cpu,cpuacct).
        if path.is_dir() and not path.is_symlink() and (path / "tasks").exists():
            yield path
