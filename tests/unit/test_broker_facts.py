"""What a broker says of itself, and what of it deserves a warning."""

from __future__ import annotations

import pytest

from sluiceway.broker.facts import (
    BrokerFacts,
    UnusableBrokerError,
    facts_from_info,
    parse_info,
)

INFO = """# Server
redis_version:7.2.4
run_id:abc123

# Memory
maxmemory_policy:allkeys-lru
# Persistence
aof_enabled:0
# Replication
role:master
"""


def test_info_becomes_facts() -> None:
    assert facts_from_info(parse_info(INFO.replace("\n", "\r\n")), save="") == BrokerFacts(
        run_id="abc123",
        version=(7, 2, 4),
        is_primary=True,
        maxmemory_policy="allkeys-lru",
        persistent=False,
    )


@pytest.mark.parametrize(
    ("aof", "save", "persistent"),
    [
        ("1", "", True),
        ("1", None, True),
        ("0", "3600 1", True),
        ("0", "", False),
        ("0", None, None),
    ],
)
def test_data_is_kept_by_a_log_or_by_snapshots(
    aof: str, save: str | None, persistent: bool | None
) -> None:
    assert facts_from_info({"aof_enabled": aof}, save=save).persistent is persistent


def test_settings_that_lose_tasks_are_warned_of() -> None:
    first, second = BrokerFacts(maxmemory_policy="allkeys-lru", persistent=False).warnings
    assert "set noeviction" in first
    assert "turn on appendonly" in second


def test_what_is_not_known_is_not_warned_of() -> None:
    assert BrokerFacts().warnings == ()
    assert BrokerFacts(maxmemory_policy="noeviction", persistent=True).warnings == ()


@pytest.mark.parametrize(
    ("version", "knows"), [("6.2.14", False), ("7.0.0", True), ("255.255.255", True), ("", False)]
)
def test_scripts_that_only_read_came_with_redis_7(version: str, knows: bool) -> None:
    assert facts_from_info({"redis_version": version}).has_read_only_scripts is knows


def test_a_version_that_is_no_number_is_unknown() -> None:
    assert facts_from_info({"redis_version": "unstable"}).version == ()
    assert facts_from_info({"redis_version": "7.4.0-rc1"}).version == (7, 4, 0)


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"redis_mode": "cluster"}, "Redis Cluster"),
        ({"server_mode": "cluster"}, "Redis Cluster"),
        ({"cluster_enabled": "1"}, "Redis Cluster"),
        ({"redis_mode": "sentinel"}, "sentinel://"),
    ],
)
def test_a_server_on_which_celery_does_not_run_is_refused(info: dict[str, str], says: str) -> None:
    with pytest.raises(UnusableBrokerError, match=says):
        facts_from_info(info)
