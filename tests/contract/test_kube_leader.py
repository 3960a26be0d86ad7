"""Two replicas and one Lease on a real API server: whatever happens, one acts at a time.

Each candidate is a process of its own, which writes down every moment at which it
would have acted. All read the same clock, so their moments can be put in order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

CANDIDATE = """
import asyncio, signal, sys, time
from pathlib import Path
from sluiceway.kube.client import KubeClient
from sluiceway.kube.leader import Leadership, LeasePace
from sluiceway.kube.lease import LeaseStore

async def main(kubeconfig, namespace, identity):
    async with await KubeClient.connect(Path(kubeconfig)) as client:
        leadership = Leadership(
            LeaseStore(client, namespace=namespace, name="election"),
            identity=identity,
            pace=LeasePace(lease_s=3, renew_deadline_s=2.0, retry_s=0.3),
        )

        async def act(epoch):
            while True:
                # Before the question: a freeze after it must not move the moment.
                moment = time.monotonic()
                if leadership.may_act():
                    print(moment, epoch, flush=True)
                await asyncio.sleep(0.02)

        task = asyncio.create_task(leadership.run(act))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await asyncio.wait([task])

asyncio.run(main(*sys.argv[1:]))
"""


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - other processes cannot set an event of ours
            await asyncio.sleep(0.02)


@dataclass(frozen=True, order=True)
class Act:
    at: float
    epoch: int
    who: str


class Candidate:
    """A process that stands for election."""

    def __init__(self, kubeconfig: Path, namespace: str, identity: str) -> None:
        self._argv = (sys.executable, "-c", CANDIDATE, str(kubeconfig), namespace, identity)
        self.identity = identity
        self.acts: list[Act] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.process = await asyncio.create_subprocess_exec(
            *self._argv, stdout=asyncio.subprocess.PIPE
        )
        reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            if self.process.returncode is None:
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            await self.process.wait()
            await reading

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            moment, epoch = line.split()
            self.acts.append(Act(at=float(moment), epoch=int(epoch), who=self.identity))

    async def until_it_acts_on(self) -> None:
        already = len(self.acts)
        await eventually(lambda: len(self.acts) > already + 10)


class Proxy:
    """A way to the API server that can be closed, or fall silent."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hang(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def close(self) -> None:
        """Connections break, and are refused from now on."""
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        pipes = [
            asyncio.create_task(self._pipe(reader, back)),
            asyncio.create_task(self._pipe(there, writer)),
        ]
        self._tasks.update(pipes)
        await asyncio.wait(pipes)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def proxy_to(control_plane: ControlPlane, folder: Path) -> AsyncIterator[tuple[Proxy, Path]]:
    """A proxy, and a kubeconfig that goes through it."""
    proxy = Proxy(control_plane.port)
    await proxy.start()
    config = json.loads(control_plane.credentials.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    kubeconfig = folder / "proxied.kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    try:
        yield proxy, kubeconfig
    finally:
        proxy.go_on()
        await proxy.close()


def holder(namespace: Namespace) -> str:
    spec = namespace.kubectl.get("lease", "election")["spec"]
    return str(spec.get("holderIdentity", ""))


def check_one_at_a_time(*candidates: Candidate) -> list[str]:
    """The leaders in the order of their terms; fails where two terms overlap."""
    acts = sorted(act for candidate in candidates for act in candidate.acts)
    epochs = [act.epoch for act in acts]
    assert epochs == sorted(epochs), "an earlier term acted after a later one had begun"
    leaders = {act.epoch: act.who for act in acts}
    assert all(leaders[act.epoch] == act.who for act in acts), "two shared a term"
    return [leaders[epoch] for epoch in sorted(leaders)]


@pytest.fixture
async def second(control_plane: ControlPlane, namespace: Namespace) -> Candidate:
    """A candidate on the straight way, to be started after the first leads."""
    return Candidate(control_plane.credentials.kubeconfig(), namespace.name, "second")


@pytest.fixture
async def first(control_plane: ControlPlane, namespace: Namespace) -> Candidate:
    return Candidate(control_plane.credentials.kubeconfig(), namespace.name, "first")


async def test_a_leader_that_is_gone_without_a_word_is_followed(
    first: Candidate, second: Candidate
) -> None:
    async with first.running():
        await first.until_it_acts_on()
        async with second.running():
            first.process.kill()
            await second.until_it_acts_on()
    assert check_one_at_a_time(first, second) == ["first", "second"]


async def test_a_leader_that_stops_in_good_order_hands_over_without_a_wait(
    first: Candidate, second: Candidate, namespace: Namespace
) -> None:
    async with first.running():
        await first.until_it_acts_on()
        async with second.running():
            first.process.send_signal(signal.SIGTERM)
            await first.process.wait()
            assert await asyncio.to_thread(holder, namespace) != "first"
            await second.until_it_acts_on()
    assert check_one_at_a_time(first, second) == ["first", "second"]


async def test_a_frozen_leader_does_not_act_when_it_thaws(
    first: Candidate, second: Candidate
) -> None:
    async with first.running():
        await first.until_it_acts_on()
        async with second.running():
            first.process.send_signal(signal.SIGSTOP)
            await second.until_it_acts_on()
            first.process.send_signal(signal.SIGCONT)
            await second.until_it_acts_on()
            # It stands again, and leads once the other one has gone.
            second.process.send_signal(signal.SIGTERM)
            await first.until_it_acts_on()
    assert check_one_at_a_time(first, second) == ["first", "second", "first"]


async def test_a_frozen_candidate_does_not_take_what_it_last_saw_for_expired(
    first: Candidate, second: Candidate
) -> None:
    async with first.running(), second.running():
        await eventually(lambda: len(first.acts) + len(second.acts) > 10)
        leads, stands = (first, second) if first.acts else (second, first)
        stands.process.send_signal(signal.SIGSTOP)
        # For longer than the Lease lasts.
        await eventually(lambda: leads.acts[-1].at - leads.acts[0].at > 5.0)
        stands.process.send_signal(signal.SIGCONT)
        for _ in range(5):
            await leads.until_it_acts_on()
    assert check_one_at_a_time(first, second) == [leads.identity]


async def test_a_leader_whose_connection_is_refused_stops_before_another_begins(
    control_plane: ControlPlane, namespace: Namespace, second: Candidate, tmp_path: Path
) -> None:
    async with proxy_to(control_plane, tmp_path) as (proxy, kubeconfig):
        cut_off = Candidate(kubeconfig, namespace.name, "cut off")
        async with cut_off.running():
            await cut_off.until_it_acts_on()
            async with second.running():
                await proxy.close()
                await second.until_it_acts_on()
                await second.until_it_acts_on()
                assert cut_off.process.returncode is None, "it stands on"
    assert check_one_at_a_time(cut_off, second) == ["cut off", "second"]


async def test_a_leader_whose_connection_hangs_stops_before_another_begins(
    control_plane: ControlPlane, namespace: Namespace, second: Candidate, tmp_path: Path
) -> None:
    async with proxy_to(control_plane, tmp_path) as (proxy, kubeconfig):
        cut_off = Candidate(kubeconfig, namespace.name, "cut off")
        async with cut_off.running():
            await cut_off.until_it_acts_on()
            async with second.running():
                proxy.hang()
                await second.until_it_acts_on()
                proxy.go_on()
                await second.until_it_acts_on()
    assert check_one_at_a_time(cut_off, second) == ["cut off", "second"]


async def test_a_lease_that_somebody_deleted_goes_on_with_a_later_epoch(
    first: Candidate, namespace: Namespace
) -> None:
    async with first.running():
        await first.until_it_acts_on()
        await asyncio.to_thread(namespace.kubectl.run, "delete", "lease", "election")
        await eventually(lambda: first.acts[-1].epoch > first.acts[0].epoch)
    assert check_one_at_a_time(first) == ["first", "first"]
