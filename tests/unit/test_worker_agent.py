"""What the agent says of its worker, whatever happens to the machine meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sluiceway_worker import agent as under_test
from sluiceway_worker.agent import Agent


class DisabledBackend:
    """Of an application that keeps no results."""


def agent() -> Agent:
    app = SimpleNamespace(
        backend=DisabledBackend(),
        amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"video": None})),
    )
    return Agent(
        SimpleNamespace(
            app=app,
            pool=SimpleNamespace(apply_async=None),
            controller=SimpleNamespace(max_concurrency=1),
            timer=SimpleNamespace(call_at=None),
            on_task_request=None,
            task_buckets={},
        )
    )


def test_a_clock_that_is_set_does_not_change_how_long_a_worker_has_been_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = {"time": 10_000.0, "monotonic": 50.0}
    for name in clocks:
        monkeypatch.setattr(under_test, name, lambda name=name: clocks[name])
    it = agent()
    broker: Any = SimpleNamespace(visibility_timeout_s=60.0, db=0, prefix="")
    it._note_ready()

    clocks |= {"time": 10_000.0 - 3600, "monotonic": 53.0}

    pulse: Any = SimpleNamespace(run_id="")
    assert it._compose(pulse, broker).up_s == 3.0
