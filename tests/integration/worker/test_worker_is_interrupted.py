"""A command whose connection is lost: the worker cannot know whether it was carried out.

``line.lose("ZADD", carried_out=True)`` lets the next request with that word reach the
server, and closes the connection before the answer is back.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sluiceway_worker import wire


class LossyWire:
    """Forwards connections to a port of this machine; one thread for each direction."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._word: bytes | None = None
        self._carried_out = False
        self._for_good = False
        self._lock = threading.Lock()
        self.lost = 0
        """How many connections were lost as asked."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, word: str, *, carried_out: bool, for_good: bool = False) -> None:
        """Lose the connection that sends the next request with this word in it, or each."""
        self._carried_out = carried_out
        self._for_good = for_good
        self._word = word.encode()

    def heal(self) -> None:
        self._word = None

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                quiet = threading.Event()
                for fun in (self._forward, self._answer):
                    thread = threading.Thread(target=fun, args=(client, server, quiet), daemon=True)
                    thread.start()

    def _forward(
        self, client: socket.socket, server: socket.socket, quiet: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                with self._lock:
                    losing = self._word is not None and self._word in data
                    if losing and not self._for_good:
                        self._word = None
                if losing:
                    quiet.set()
                    if self._carried_out:
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                        # The server closes once it has carried out what it was sent.
                        while server.recv(1 << 20):
                            pass
                    _end(client, server)
                    self.lost += 1
                    return
                server.sendall(data)
        _end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, quiet: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if quiet.is_set():
                    continue
                client.sendall(data)
        if not quiet.is_set():
            _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(redis_server: Any) -> Iterator[LossyWire]:
    """A worker's line to the broker, which loses a connection when it is told to."""
    line = LossyWire(redis_server.port)
    yield line
    line.close()


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_message_whose_writing_down_is_interrupted_is_neither_lost_nor_doubled(
    carried_out: bool, queue: Any, start_worker: Any, records: Any, line: Any, wait_for: Any
) -> None:
    url = f"redis://127.0.0.1:{line.port}/0"
    start_worker("-c", "1", CELERY_BROKER_URL=url, SLUICEWAY_TAKE="kombu")
    line.lose("ZADD", carried_out=carried_out)
    task = queue.send()
    wait_for(lambda: line.lost, "the connection is lost")
    records.wait_for("finished", task)
    wait_for(queue.empty, "nothing left")
    assert records.of("started") == {task: 1}


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_take_by_script_that_is_interrupted_strands_its_message_with_nobody(
    carried_out: bool, queue: Any, start_worker: Any, records: Any, line: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", CELERY_BROKER_URL=f"redis://127.0.0.1:{line.port}/0")
    running = queue.send("work", 3)
    records.wait_for("started", running)
    next_one = queue.send()
    # Full, it takes nothing; its next take will find the one that waits.
    line.lose("sluiceway:holders", carried_out=carried_out)
    wait_for(lambda: line.lost, "the connection is lost")
    records.wait_for("finished", running, next_one)
    wait_for(queue.empty, "nothing left")
    assert records.of("started") == {running: 1, next_one: 1}
    told = "take was never answered" in worker.log.read_text()
    assert told == carried_out


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_push_back_that_is_interrupted_puts_the_message_into_its_list_once(
    carried_out: bool, queue: Any, start_worker: Any, records: Any, line: Any, wait_for: Any
) -> None:
    """A full worker's BRPOP, which cannot be ended early here, brings one that it does not keep."""
    queue.redis.execute_command(
        "ACL", "SETUSER", "shop", "on", ">secret", "~*", "&*", "+@all", "-client|unblock"
    )
    url = f"redis://shop:secret@127.0.0.1:{line.port}/0"
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url, SLUICEWAY_TAKE="kombu")
    line.lose("sluiceway:pushed:", carried_out=carried_out)
    queue.send("publish_then_work", 0.2, 8, "child", countdown=1.5, task_id="parent")
    records.wait_for("published", "child")
    wait_for(lambda: line.lost, "the connection is lost")
    wait_for(lambda: queue.length() > 0, "the child in its list")
    worker.ask_to_drain()
    records.wait_for("finished", "parent")
    worker.says(state=wire.DRAINED)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == ["child"]
    assert queue.unacked() == 0


@pytest.mark.parametrize(("take", "word"), [("atomic", "back(list"), ("kombu", "held:sub")])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_give_back_that_is_interrupted_puts_the_message_into_its_list_once(
    carried_out: bool, take: str, word: str, queue: Any, start_worker: Any, line: Any, wait_for: Any
) -> None:
    url = f"redis://127.0.0.1:{line.port}/0"
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url, SLUICEWAY_TAKE=take)
    tasks = [queue.send("work", 0, countdown=600 + n) for n in range(3)]
    worker.says(scheduled=3)
    line.lose(word, carried_out=carried_out)
    worker.ask_to_drain()
    wait_for(lambda: line.lost, "the connection is lost")
    worker.says(state=wire.DRAINED)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == tasks
    assert queue.unacked() == 0


@pytest.mark.parametrize("carried_out", [True, False])
def test_also_where_the_application_does_without_acknowledgements(
    carried_out: bool, queue: Any, start_worker: Any, line: Any, wait_for: Any
) -> None:
    """kombu's ``ack_emulation: False``: what a worker holds is in its memory alone."""
    url = f"redis://127.0.0.1:{line.port}/0"
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url, TEST_NO_ACKS="1")
    tasks = [queue.send("work", 0, countdown=600 + n) for n in range(3)]
    worker.says(scheduled=3)
    assert queue.unacked() == 0
    line.lose("sluiceway:pushed:", carried_out=carried_out)
    worker.ask_to_drain()
    wait_for(lambda: line.lost, "the connection is lost")
    worker.says(state=wire.DRAINED)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == tasks


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_acknowledgement_that_is_interrupted_arrives_once_more(
    carried_out: bool, queue: Any, start_worker: Any, records: Any, line: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", CELERY_BROKER_URL=f"redis://127.0.0.1:{line.port}/0")
    task = queue.send("work", 2)
    records.wait_for("started", task)
    line.lose("ZREM", carried_out=carried_out)
    wait_for(lambda: line.lost, "the connection is lost")
    wait_for(queue.empty, "acknowledged")
    records.wait_for("finished", queue.send())
    worker.says(active=0)
    assert set(records.of("started").values()) == {1}


def test_a_drain_is_not_over_while_an_acknowledgement_cannot_be_sent(
    queue: Any, start_worker: Any, records: Any, line: Any, wait_for: Any
) -> None:
    """Whoever believed it would end the worker, and its task would be run again."""
    worker = start_worker("-c", "1", CELERY_BROKER_URL=f"redis://127.0.0.1:{line.port}/0")
    running = queue.send("work", 3)
    records.wait_for("started", running)
    line.lose("ZREM", carried_out=False, for_good=True)
    worker.ask_to_drain(ttl_ms=120_000)
    wait_for(lambda: line.lost > 3, "it tries again and again")
    assert worker.says(active=0).state == wire.DRAINING
    assert queue.unacked() == 1
    line.heal()
    worker.says(state=wire.DRAINED)
    assert queue.empty()
    assert records.of("started") == {running: 1}
