"""One address, and another server behind it: a worker goes where the address leads.

A server that has become a replica refuses to write and cuts no connection; one whose machine
is gone leaves connections on which nobody answers; and one that was only taken its address
goes on confirming what nobody will know of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

import sluiceway_worker
from benchmarks.soak.proxy import Proxy
from sluiceway_worker import wire

WAYS = {"script": {}, "kombu": {wire.ENV_TAKE: "kombu"}}


class Pair:
    """A primary, its replica, and the one address of both."""

    def __init__(self, stack: ExitStack, make: Callable[..., Any]) -> None:
        self.servers = [make(appendonly="yes"), make(appendonly="yes")]
        self.proxy = Proxy(self.leads.port)
        stack.callback(self.proxy.close)
        self.follow(self.servers[1], self.leads)

    @property
    def leads(self) -> Any:
        return self.servers[0]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    def follow(self, follower: Any, leader: Any) -> None:
        follower.client().replicaof("127.0.0.1", leader.port)

    def in_step(self) -> bool:
        """Whether the replica has all that the primary has."""
        led, follows = (one.client().info("replication") for one in self.servers)
        return (
            follows.get("master_link_status") == "up"
            and follows["slave_repl_offset"] == led["master_repl_offset"]
        )

    def change_places(self) -> None:
        """The two change places and the address moves; no connection is cut."""
        old, new = self.servers
        old.client().execute_command("FAILOVER", "TO", "127.0.0.1", new.port)
        self.proxy.move(new.port)
        self.servers.reverse()

    def promote(self) -> None:
        """The replica leads, and the address is its own; the old primary knows of nothing."""
        self.servers.reverse()
        self.leads.client().replicaof("NO", "ONE")
        self.proxy.move(self.leads.port)


@pytest.fixture
def pair(make_redis_server: Any, wait_for: Any) -> Iterator[Pair]:
    with ExitStack() as stack:
        pair = Pair(stack, make_redis_server)
        wait_for(pair.in_step, "the replica has all")
        yield pair


@pytest.fixture
def redis_server(pair: Pair) -> Any:
    """The workers' and the publisher's broker."""
    return pair


@pytest.fixture
def new_web(pair: Pair, queue: Any) -> Iterator[Callable[[], Any]]:
    """Whoever publishes with a connection of its own; a plain one that stands is refused, or not
    answered, for ever."""
    with ExitStack() as stack:

        def make() -> Any:
            # Workers are looked for where the address leads now, too.
            queue.redis.connection_pool.disconnect()
            web = type(queue)(pair.url)
            # kombu gives those of the same address and options the same connections.
            web.app.conf.broker_transport_options["socket_timeout"] = 30
            stack.callback(web.app.close)
            stack.callback(web.redis.close)
            return web

        yield make


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_becomes_a_replica_and_cuts_nobody_is_left(
    way: str,
    pool: str,
    pair: Pair,
    queue: Any,
    start_worker: Any,
    records: Any,
    wait_for: Any,
    new_web: Any,
) -> None:
    busy, idle = (start_worker("-c", "1", "-P", pool, **WAYS[way]) for _ in range(2))
    running = queue.send("work", 4)
    records.wait_for("started", running)
    pair.change_places()
    web = new_web()
    later = [wait_for(lambda: published(web), "it leads") for _ in range(5)]
    records.wait_for("finished", running, *later)
    wait_for(web.empty, "all acknowledged where they are now")
    assert set(records.of("started").values()) == {1}
    for worker in (busy, idle):
        worker.says(state=wire.CONSUMING, active=0)
        assert worker.process.poll() is None


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_on_which_nobody_answers_any_more_is_given_up(
    way: str, pair: Pair, queue: Any, start_worker: Any, records: Any, wait_for: Any, new_web: Any
) -> None:
    workers = [start_worker("-c", "1", **WAYS[way]) for _ in range(2)]
    running = queue.send("work", 3)
    records.wait_for("started", running)
    pair.proxy.hang()
    wait_for(pair.in_step, "the replica has all")
    pair.promote()
    web = new_web()
    later = [web.send() for _ in range(5)]
    records.wait_for("finished", running, *later)
    wait_for(web.empty, "all acknowledged where they are now")
    assert set(records.of("started").values()) == {1}
    for worker in workers:
        worker.says(state=wire.CONSUMING, active=0)


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_lives_on_without_its_address_is_left(
    way: str, pair: Pair, queue: Any, start_worker: Any, records: Any, wait_for: Any, new_web: Any
) -> None:
    worker = start_worker("-c", "1", **WAYS[way])
    pair.promote()
    web = new_web()
    task = web.send()
    records.wait_for("finished", task)
    wait_for(web.empty, "acknowledged")
    assert "leads to another server" in worker.log.read_text()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_refuses_to_write_for_a_while_is_waited_for(
    way: str, pair: Pair, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", **WAYS[way])
    running = queue.send("work", 1)
    records.wait_for("started", running)
    client = pair.leads.client()
    client.config_set("min-replicas-to-write", 5)
    records.wait_for("finished", running)
    wait_for(lambda: "too few replicas" in worker.log.read_text(), "it says what is wrong")
    client.config_set("min-replicas-to-write", 0)
    later = queue.send()
    records.wait_for("finished", later)
    wait_for(queue.empty, "all acknowledged")
    assert records.of("started") == {running: 1, later: 1}
    assert worker.process.poll() is None


def test_a_full_server_is_worked_off(
    pair: Pair, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    tasks = [queue.send() for _ in range(3)]
    running = queue.send("work", 2)
    records.wait_for("started", running)
    pair.leads.client().config_set("maxmemory", 1)
    pair.proxy.cut()
    records.wait_for("finished", running, *tasks)
    wait_for(queue.empty, "all acknowledged")
    assert set(records.of("started").values()) == {1}
    assert worker.process.poll() is None


@pytest.mark.parametrize("way", WAYS)
def test_a_full_server_s_workers_are_heard_as_ever(
    way: str, pair: Pair, queue: Any, start_worker: Any, records: Any
) -> None:
    """Silent ones would be taken for dead, and what they run be given to others."""
    worker = start_worker("-c", "1", **WAYS[way])
    running = queue.send("work", 1)
    records.wait_for("started", running)
    worker.says(active=1)
    pair.leads.client().config_set("maxmemory", 1)
    records.wait_for("finished", running)
    worker.says(active=0, processed=1)


def test_what_a_full_server_s_workers_run_does_not_pass_the_visibility_timeout(
    pair: Pair, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    start_worker("-c", "1", TEST_VISIBILITY_S="20")
    running = queue.send("work", 60)
    records.wait_for("started", running)
    client = pair.leads.client()
    client.config_set("maxmemory", 1)
    ((tag, before),) = client.zrange("unacked_index", 0, -1, withscores=True)
    wait_for(lambda: client.zscore("unacked_index", tag) > before, "it is renewed")


def test_a_publisher_with_the_stamp_follows_the_address(pair: Pair, wait_for: Any) -> None:
    sluiceway_worker.stamp()
    with Celery(broker=pair.url, set_as_current=False) as web:
        web.send_task("recording_app.work", queue="work", ignore_result=True)
        pair.change_places()
        wait_for(lambda: pair.leads.client().info("replication")["role"] == "master", "it leads")
        web.send_task("recording_app.work", queue="work", ignore_result=True)
    assert pair.leads.client().llen("work") == 2


def published(queue: Any) -> str | None:
    """The task, once somebody takes it."""
    try:
        return str(queue.send(retry=False))
    except OperationalError:
        return None
