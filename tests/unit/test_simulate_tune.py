"""What `--tune` proposes: fields that do better on the trace, and a reason for each."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.simulate import synthetic
from sluiceway.simulate.compare import Case
from sluiceway.simulate.ours import MONDAY
from sluiceway.simulate.synthetic import constant
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.tune import Tuned, as_yaml, tune
from sluiceway.simulate.world import Plant


def tuned(trace: Trace, *, cold_start_s: float = 5.0, **scaling: Any) -> Tuned:
    spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": scaling})
    plant = Plant(cold_start_s=cold_start_s)
    return tune(Case(trace=trace, plant=plant, spec=spec, begins_at=MONDAY, tick_s=2.0))


def spikes(every_s: float = 200.0, size: int = 60) -> Trace:
    return synthetic.spikes(
        every_s=every_s, size=size, span_s=700.0, run_time=constant(4.0), seed=3
    )


def test_a_maximum_that_was_too_low_is_raised_to_what_was_needed_and_half_as_much() -> None:
    found = tuned(spikes(), max_replicas=2)
    assert found.before.within < 0.9
    assert found.after.within >= 0.99
    assert found.case.spec.scaling.max_replicas >= 1.5 * found.after.most_workers - 1
    assert "2 were too few" in as_yaml(found)


def test_where_a_start_takes_longer_than_tasks_may_wait_a_floor_is_proposed() -> None:
    found = tuned(spikes(), cold_start_s=60.0, max_replicas=100)
    assert found.before.within < 0.5
    assert found.after.within > found.before.within
    assert found.case.spec.scaling.min_replicas > 0


def test_a_wait_target_takes_the_place_of_a_backlog() -> None:
    found = tuned(spikes(), target={"backlog_per_replica": 1}, max_replicas=200)
    assert found.case.spec.scaling.target.max_wait == 30.0
    assert found.after.worker_hours < found.before.worker_hours


def test_what_is_proposed_is_a_piece_of_a_taskqueue_with_reasons() -> None:
    text = as_yaml(tuned(spikes(), cold_start_s=60.0, target={"backlog_per_replica": 1}))
    scaling = yaml.safe_load(text)["scaling"]
    TaskQueueSpec.from_outside({"queues": ["q"], "scaling": scaling})
    assert all(" # " in line for line in text.splitlines() if not line.endswith(":"))


@pytest.mark.parametrize("max_wait", [10.0, 60.0])
def test_the_users_wish_is_kept_and_its_price_is_told(max_wait: float) -> None:
    found = tuned(spikes(), target={"max_wait": max_wait}, max_replicas=200)
    assert found.case.spec.scaling.target.max_wait == max_wait
    assert [name.split(":")[0] for name, _ in found.others][:2] == ["maxWait", "maxWait"]
