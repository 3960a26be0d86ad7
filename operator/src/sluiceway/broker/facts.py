"""What a broker says of itself, asked once per connection.

From ``INFO``: who it is (``run_id``), how it may be asked (its version), and what
its settings mean for tasks that wait in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class UnusableBrokerError(Exception):
    """A server that answers and still cannot be used, as a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerFacts:
    """One server. A user without ``+info`` leaves the fields at their defaults."""

    run_id: str = ""
    """Empty when it is not known."""
    version: tuple[int, ...] = ()
    """The Redis version that it says it is compatible with; empty when not known."""
    is_primary: bool | None = None
    maxmemory_policy: str | None = None
    persistent: bool | None = None
    """Whether its data outlives a restart: AOF or snapshots; None when not known."""

    @property
    def has_read_only_scripts(self) -> bool:
        """EVAL_RO came with Redis 7."""
        return self.version >= (7,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the platform team should mend, as sentences."""
        found: list[str] = []
        if self.maxmemory_policy not in (None, "noeviction"):
            found.append(
                f"the broker's maxmemory-policy is {self.maxmemory_policy}: under memory "
                "pressure it drops waiting tasks; set noeviction"
            )
        if self.persistent is False:
            found.append(
                "the broker keeps nothing on disk: a restart loses all waiting tasks; "
                "turn on appendonly"
            )
        return tuple(found)


def facts_from_info(info: Mapping[str, str], *, save: str | None = None) -> BrokerFacts:
    """Read ``INFO``.

    Args:
        info: its fields.
        save: the ``save`` setting, the only place that tells whether snapshots are
            on; None where ``CONFIG GET`` is not permitted.

    Raises:
        UnusableBrokerError: Redis Cluster.
    """
    mode = info.get("redis_mode", info.get("server_mode", "standalone"))
    if mode == "cluster" or info.get("cluster_enabled") == "1":
        raise UnusableBrokerError(
            "the broker is a Redis Cluster, on which Celery does not run; "
            "give a single server or Sentinel"
        )
    if mode == "sentinel":
        raise UnusableBrokerError(
            "this is a sentinel, not a broker; write sentinel://host:26379/0?master_name=mymaster"
        )
    appends = info.get("aof_enabled")
    persistent = True if appends == "1" else None if save is None else save != ""
    role = info.get("role")
    return BrokerFacts(
        run_id=info.get("run_id", ""),
        version=_version(info.get("redis_version", "")),
        is_primary=None if role is None else role == "master",
        maxmemory_policy=info.get("maxmemory_policy"),
        persistent=persistent,
    )


def parse_info(raw: str) -> dict[str, str]:
    """``INFO``'s lines as a mapping; sections and blank lines fall away."""
    pairs = (line.partition(":") for line in raw.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _version(text: str) -> tuple[int, ...]:
    numbers = text.split("-")[0].split(".")
    return tuple(int(n) for n in numbers) if all(n.isdigit() for n in numbers) else ()
