"""The launcher's judgement of a loop that it watches, and what it shares by name only.

It can import nothing of this project, and runs on Pythons that this project does not.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from sluiceway.workload import agent
from sluiceway_worker import wire

LAUNCHER = Path(__file__).parents[2] / "worker_image" / "launcher" / "launcher.py"


@pytest.fixture
def launcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launcher_under_test", LAUNCHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(launcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(launcher, "time", clock)
    return clock


@pytest.fixture
def where(launcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The modules that the main thread is in: a loop that turns or hangs."""
    names = {"celery.worker.loops", "kombu.asynchronous.hub"}
    monkeypatch.setattr(launcher, "modules_on_stack", lambda _: names)
    return names


def consumer(*steps: Any) -> SimpleNamespace:
    return SimpleNamespace(hub=SimpleNamespace(on_tick=set()), steps=list(steps))


@pytest.fixture
def watched(launcher: ModuleType, clock: Clock, where: set[str]) -> Any:
    watched = launcher.Watched(with_agent=True)
    watched.consuming(consumer())
    return watched


def test_it_is_written_in_the_language_of_python_3_6() -> None:
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_lies_alone_in_its_folder() -> None:
    assert [path.name for path in LAUNCHER.parent.glob("*.py")] == ["launcher.py"]


def test_its_names_are_those_of_the_pods_manifest(launcher: ModuleType) -> None:
    assert launcher.ENV_ACKS == wire.ENV_ACKS
    assert launcher.ENV_PROBE_PORT == agent.ENV_PROBE_PORT
    assert Path(agent.LAUNCHER).parent.parent == Path(agent.MOUNT)


def test_a_loop_that_turns_is_well_and_one_that_hangs_is_not(watched: Any, clock: Clock) -> None:
    clock.now += 59
    assert watched.verdict() == (True, "agent here, loop turned 59 s ago")
    (turned,) = watched.consumer.hub.on_tick
    turned()
    clock.now += 59
    assert watched.verdict()[0]
    clock.now += 2
    assert watched.verdict() == (
        False,
        "agent here, loop turned 61 s ago, and nothing is waited for",
    )


def test_a_running_task_excuses_it_for_any_time(
    watched: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "active_requests", {"a request"})
    clock.now += 90_000
    assert watched.verdict() == (True, "agent here, loop turned 90000 s ago, a task runs")


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
def test_a_worker_that_is_told_to_go_is_left_to_it(
    name: str, watched: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Celery's exit code for a good end is zero, and means that it stops.
    monkeypatch.setattr(state, name, 0)
    clock.now += 600
    assert watched.verdict()[1].endswith("it is stopping")
    assert watched.verdict()[0]


def test_a_worker_that_drains_is_left_to_it(watched: Any, clock: Clock) -> None:
    watched.consumer.steps = [SimpleNamespace(), SimpleNamespace(draining=True)]
    clock.now += 600
    assert watched.verdict() == (True, "agent here, loop turned 600 s ago, it is draining")


def test_a_broker_that_is_waited_for_never_counts(
    watched: Any, clock: Clock, where: set[str]
) -> None:
    clock.now += 600
    where.add("redis.connection")
    assert watched.verdict()[1].endswith("the broker is waited for")
    where.difference_update({"celery.worker.loops", "redis.connection"})
    assert watched.verdict() == (True, "agent here, loop turned 600 s ago, it is connecting")


def test_what_has_just_ended_excuses_it_for_as_long_as_a_turn_may_take(
    watched: Any, clock: Clock, where: set[str]
) -> None:
    clock.now += 600
    where.add("redis.connection")
    assert watched.verdict()[0]
    where.remove("redis.connection")
    assert watched.verdict()[0]
    clock.now += 61
    assert not watched.verdict()[0]


def test_a_green_pool_has_no_loop_to_judge_by(launcher: ModuleType, clock: Clock) -> None:
    watched = launcher.Watched(with_agent=False)
    watched.consuming(SimpleNamespace(hub=None))
    clock.now += 600
    assert watched.verdict() == (True, "agent absent, loop unknown")


def test_where_a_thread_is_can_be_told(launcher: ModuleType) -> None:
    here = launcher.modules_on_stack(threading.current_thread().ident)
    assert __name__ in here
    assert launcher.modules_on_stack(-1) == set()


def test_only_the_launchers_own_folder_is_taken_off_the_path(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(LAUNCHER.parent)
    monkeypatch.setattr(sys, "path", [own, "/app"])
    launcher.take_off_own_folder()
    launcher.take_off_own_folder()
    assert sys.path == ["/app"]
