"""Who this worker is: its fleet, its name, and the incarnation that it lives in.

An incarnation is one start of one worker. The name alone is not enough: a container
that crashed starts again in the same pod under the same name, and a message or a
lease of the one before must never be taken for one of this start.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluiceway_worker import wire
from sluiceway_worker.fate import MAX_DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Mapping

_IMPORTED_AT = time.time()


@dataclass(frozen=True)
class Identity:
    """What the environment says of a worker, and one fresh boot id."""

    fleet: str
    name: str
    incarnation: str
    wished_at: float
    """Unix seconds from which the cold start counts."""
    container: str = ""
    """A word that differs for each start of a container in one pod; "" where unknown, and where
    nobody vouches for the name: machines may share a host name, and containers of one pod do."""
    max_deliveries: int = MAX_DELIVERIES
    """After so many deaths of its worker a message is a dead letter."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Identity:
        """Read the variables that ``wire`` names; each of them may be missing."""
        name = env.get(wire.ENV_NAME) or socket.gethostname()
        return cls(
            fleet=env.get(wire.ENV_FLEET, ""),
            name=name,
            incarnation=f"{name}:{uuid.uuid4().hex[:8]}",
            wished_at=_number(env.get(wire.ENV_STARTED_AT)) or process_started_at(),
            container=container() if env.get(wire.ENV_FLEET) and env.get(wire.ENV_NAME) else "",
            max_deliveries=int(_number(env.get(wire.ENV_MAX_DELIVERIES)) or MAX_DELIVERIES),
        )

    @property
    def holder(self) -> wire.Holder:
        """What stands in ``wire.holders_key`` for this incarnation."""
        return wire.Holder(self.fleet, self.container, process_started_at())


def container(proc: Path = Path("/proc")) -> str:
    """The machine's boot, and when after it this container's first process started.

    Two processes that read the same word share a container's life; in one pod, another
    word is another life. Where ``/proc`` cannot tell, nothing may be concluded: ``""``.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{_start_ticks(proc / '1/stat')}"
    except (OSError, ValueError, IndexError):
        return ""


def process_started_at() -> float:
    """When this process started, Unix seconds; without /proc, when this module was imported."""
    try:
        ticks = _start_ticks(Path("/proc/self/stat"))
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time() - (since_boot - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED_AT


def _start_ticks(stat: Path) -> int:
    # Field 22 of proc(5) stat, counted after the command name, which may hold spaces.
    return int(stat.read_text().rpartition(")")[2].split()[19])


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
