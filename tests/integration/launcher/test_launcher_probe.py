"""The probe's port in each state of a real worker; the launcher is in a hurry here."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest


def test_the_port_opens_when_the_worker_consumes_and_not_before(broker: Any, launch: Any) -> None:
    broker.server.stop()
    worker = launch("-P", "solo", hurry=True)
    deadline = time.monotonic() + 60
    while "Cannot connect" not in worker.said() and time.monotonic() < deadline:
        assert not worker.passes()
        time.sleep(0.02)
    assert not worker.passes()
    broker.server.start()
    worker.is_up()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_loop_that_hangs_with_nothing_to_do_closes_the_port_and_opens_it_when_it_turns_again(
    pool: str, launch: Any
) -> None:
    worker = launch("-P", pool, "-c", "2", hurry=True)
    worker.is_up()
    deadline = time.monotonic() + 60
    again_at = 0.0
    while worker.passes():
        assert time.monotonic() < deadline, "the port never closed"
        # A hang that happens to begin inside a call to the broker is excused: hang anew.
        if time.monotonic() > again_at:
            os.kill(worker.process.pid, signal.SIGUSR2)
            again_at = time.monotonic() + 8
        time.sleep(0.02)
    assert "the worker hangs: agent here, loop turned" in worker.said()
    worker.is_up()


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_task_that_never_lets_go_of_the_interpreter_passes(
    pool: str, broker: Any, launch: Any
) -> None:
    worker = launch("-P", pool, "-c", "1", hurry=True)
    worker.is_up()
    # Longer than the launcher's patience here, on any machine.
    broker.send("hold", "held", 27)
    assert broker.left("held") == "began"
    began = time.monotonic()
    while broker.redis.llen("held") == 0:
        assert worker.passes()
        time.sleep(0.05)
    assert time.monotonic() - began > 1.2, "the task was too short to show anything"
    assert worker.passes()


def test_a_broker_that_is_away_never_counts(broker: Any, launch: Any) -> None:
    worker = launch("-P", "threads", "-c", "1", hurry=True)
    worker.is_up()
    broker.server.stop()
    seen = set()
    deadline = time.monotonic() + 60
    while "it is connecting" not in seen and time.monotonic() < deadline:
        seen.add(worker.words().rpartition(", ")[2])
    assert "it is connecting" in seen
    broker.server.start()
    broker.send("look", "seen")
    broker.left("seen")
    # The loop of the new connection is seen to turn: its turns are what excuses it now.
    deadline = time.monotonic() + 60
    while not worker.words().endswith(" s ago"):
        assert time.monotonic() < deadline, worker.words()
        time.sleep(0.05)


def test_a_broker_that_answers_nothing_never_counts(broker: Any, launch: Any) -> None:
    worker = launch("-P", "threads", "-c", "1", hurry=True)
    worker.is_up()
    server = int(broker.redis.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        # Something to be waited for: giving up its place at the broker.
        worker.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 4
        while time.monotonic() < until and worker.process.poll() is None:
            assert worker.passes() or worker.process.poll() is not None
            time.sleep(0.05)
    finally:
        os.kill(server, signal.SIGCONT)


def test_probes_that_nobody_answers_for_hours_are_kept_waiting_and_not_refused(
    broker: Any, launch: Any
) -> None:
    worker = launch("-P", "solo", hurry=True)
    worker.is_up()
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        # A probe every twenty seconds, for more than an hour.
        assert all(worker.passes() for _ in range(200))
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


def test_without_a_port_there_is_no_probe_and_the_worker_works(broker: Any, launch: Any) -> None:
    launch("-P", "solo", SLUICEWAY_PROBE_PORT="")
    broker.send("look", "seen")
    broker.left("seen")
