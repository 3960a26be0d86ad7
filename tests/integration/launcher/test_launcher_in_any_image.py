"""The launcher starts the image's own Celery, with the agent where that can be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sluiceway_worker import wire
from sluiceway_worker.heartbeat import Heartbeat
from tests.integration.launcher.conftest import wait_for

HERE = Path(__file__).parent

BROKEN = {
    "raises": "raise RuntimeError('not today')",
    "cannot be read": "def (",
    "ends the process": "import sys; sys.exit(3)",
}


def heartbeats(broker: Any) -> list[Heartbeat]:
    found = [broker.redis.get(key) for key in broker.redis.scan_iter(wire.heartbeat_key("", "*"))]
    return [Heartbeat.from_json(raw) for raw in found if raw]


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_an_image_without_our_packages_gets_the_agent_from_the_mount(
    pool: str, broker: Any, launch: Any, mount: Path
) -> None:
    worker = launch("-P", pool, "-c", "2")
    broker.send("look", "seen")
    seen = broker.left("seen")
    worker.is_up()

    assert seen["agent"] == str(mount / "agent" / "sluiceway_worker" / "__init__.py")
    assert seen["path"][-1] == str(mount / "agent")
    assert str(mount / "launcher") not in seen["path"]
    assert "PYTHONPATH" not in seen["environment"]
    (beat,) = heartbeats(broker)
    assert (beat.fleet, beat.name, beat.acks) == ("shop/work", "work-1", "early")
    assert worker.words().startswith("agent here, loop ")
    assert worker.terminate() == 0
    assert heartbeats(broker) == []


def test_acknowledgement_is_the_applications_unless_the_fleet_says_otherwise(
    broker: Any, launch: Any
) -> None:
    launch("-P", "solo", SLUICEWAY_ACKS="late").is_up()
    (beat,) = heartbeats(broker)
    assert beat.acks == "late"


@pytest.mark.parametrize("how", BROKEN)
def test_an_agent_that_cannot_start_costs_the_worker_nothing_but_a_line(
    how: str, broker: Any, launch: Any, mount: Path
) -> None:
    (mount / "agent" / "sluiceway_worker" / "launch.py").write_text(BROKEN[how])
    worker = launch("-P", "threads", "-c", "1")
    broker.send("look", "seen")
    broker.left("seen")
    worker.is_up()

    assert "sluiceway: the agent cannot start; the worker starts as plain Celery (" in worker.said()
    assert worker.words().startswith("agent absent, ")
    assert heartbeats(broker) == []
    assert worker.terminate() == 0


def test_a_mount_without_an_agent_costs_the_worker_nothing_but_a_line(
    broker: Any, launch: Any, mount: Path
) -> None:
    shutil.rmtree(mount / "agent")
    worker = launch("-P", "solo")
    broker.send("look", "seen")
    broker.left("seen")
    assert "ModuleNotFoundError" in worker.said()


def test_an_application_that_its_images_pythonpath_leads_to_is_found(
    broker: Any, launch: Any, tmp_path: Path
) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    shutil.copy(HERE / "launched_app.py", library)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    launch("-P", "prefork", "-c", "1", cwd=elsewhere, PYTHONPATH=str(library))
    broker.send("look", "seen")
    assert broker.left("seen")["environment"]["PYTHONPATH"] == str(library)


def test_a_module_of_the_image_named_as_the_launcher_is_the_one_that_is_imported(
    broker: Any, launch: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    shutil.copy(HERE / "launched_app.py", folder)
    (folder / "launcher.py").write_text("from launched_app import app, leave\nleave('own', 1)\n")
    launch("-P", "solo", app="launcher", cwd=folder)
    assert broker.left("own") == 1


def test_an_entrypoint_of_the_image_prepares_the_environment(
    broker: Any, launch: Any, tmp_path: Path
) -> None:
    entrypoint = tmp_path / "entry.sh"
    entrypoint.write_text('#!/bin/sh\nexport LOADED=yes\nexec "$@"\n')
    entrypoint.chmod(0o755)
    worker = launch("-P", "solo", before=(str(entrypoint),))
    broker.send("look", "seen")
    assert broker.left("seen")["environment"]["LOADED"] == "yes"
    worker.is_up()
    # The signal reaches Celery, because the entrypoint has made way for it.
    assert worker.terminate() == 0


def test_a_worker_that_is_told_to_go_while_its_application_loads_goes_at_once(
    broker: Any, launch: Any, tmp_path: Path
) -> None:
    slow = (
        "import os, time, redis\nclient = redis.Redis.from_url(os.environ['CELERY_BROKER_URL'])\n"
    )
    slow += "client.rpush('loading', 1)\ntime.sleep(600)\n"
    (tmp_path / "slow_app.py").write_text(slow)
    worker = launch("-P", "solo", app="slow_app", cwd=tmp_path)
    assert broker.left("loading") == 1
    # By itself and not by the signal, which a container's first process never gets.
    assert worker.terminate() == 0


def test_a_worker_that_is_told_to_go_while_the_launcher_itself_loads_goes_at_once(
    launch: Any, mount: Path
) -> None:
    # It lies where the launcher's own imports look first.
    slow = "import time\nprint('loading', flush=True)\ntime.sleep(600)\n"
    (mount / "launcher" / "socket.py").write_text(slow)
    worker = launch("-P", "solo")
    wait_for(lambda: "loading" in worker.said(), "the launcher's imports")
    assert worker.terminate() == 0


def test_an_option_that_celery_does_not_know_ends_it_with_celerys_own_words(launch: Any) -> None:
    worker = launch("--no-such-option")
    assert worker.process.wait(timeout=60) == 2
    assert "No such option" in worker.said()
