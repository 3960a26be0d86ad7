"""The fleets' tasks and workers under the names that Celery people know."""

from __future__ import annotations

from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.work import NO_WORK
from sluiceway_worker.wire import BOUNDS_S
from tests.unit.metering import VIDEO, scraped, status


def test_tasks_are_told_by_the_names_that_celery_people_know() -> None:
    meters = FleetMeters()
    meters.add(status())

    told = scraped(meters)

    encode = VIDEO | {"queue_name": "video", "name": "encode"}
    for state, count in {"received": 5, "started": 5, "succeeded": 2, "retried": 1}.items():
        assert told[f"celery_task_{state}_total"] == [(encode, count)], state
    assert told["celery_task_rejected_total"] == [(encode, 1)]
    assert told["celery_task_failed_total"] == [
        (encode | {"exception": ""}, 0),
        (encode | {"exception": "OSError"}, 1),
    ]
    assert told["celery_task_runtime_sum"] == [(encode, 12.5)]
    assert told["celery_task_runtime_count"] == [(encode, 5)]
    buckets = {labels["le"]: n for labels, n in told["celery_task_runtime_bucket"]}
    assert len(buckets) == len(BOUNDS_S) + 1
    assert (buckets["0.25"], buckets["1.0"], buckets["5.0"], buckets["+Inf"]) == (0, 1, 5, 5)
    assert told["celery_task_queue_wait_time_count"] == [(encode, 5)]
    assert told["sluiceway_taskqueue_longest_run_seconds"] == [(VIDEO | {"name": "encode"}, 42)]


def test_queues_and_workers_are_told_so_too_and_a_silent_worker_is_down() -> None:
    meters = FleetMeters()
    meters.add(status())

    told = scraped(meters)

    assert told["celery_queue_length"][0] == (VIDEO | {"queue_name": "video"}, 1_140)
    up = {labels["hostname"]: value for labels, value in told["celery_worker_up"]}
    assert up == {"a": 1, "b": 0}
    # What a silent worker runs is not known.
    assert told["celery_worker_tasks_active"] == [(VIDEO | {"hostname": "a"}, 3)]
    assert told["celery_active_worker_count"][0][1] == 1
    assert told["celery_active_process_count"][0][1] == 4


def test_while_the_broker_is_away_counts_stay_and_no_worker_is_called_down() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.add(status(work=NO_WORK))

    told = scraped(meters)

    assert told["celery_task_started_total"][0][1] == 5
    assert "celery_worker_up" not in told
