"""What /metrics tells of a TaskQueue: true numbers of what exists, and nothing else."""

from __future__ import annotations

from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import QueueView
from sluiceway.report.conditions import Verdict
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.status import DEMAND_KNOWN, READY
from tests.unit.metering import VIDEO, scraped, status, text_of


def test_a_taskqueue_s_numbers_are_series_with_its_namespace_and_name() -> None:
    meters = FleetMeters()
    meters.add(status())

    told = scraped(meters)

    assert told["sluiceway_queue_length"] == [
        (VIDEO | {"queue": "video"}, 1_140),
        (VIDEO | {"queue": "clips"}, 0),
    ]
    assert told["sluiceway_queue_oldest_task_age_seconds"][0][1] == 12.4
    for name, value in {
        "tasks_in_flight": 8,
        "tasks_scheduled": 3,
        "arrival_rate": 0.5,
        "mean_run_time_seconds": 2.0,
        "recommended_replicas": 5,
        "desired_replicas": 3,
        "asked_replicas": 4,
        "ready": 1,
        "demand_known": 1,
        "broker_up": 1,
        "waking_armed": 1,
        "last_tick_timestamp_seconds": 1_000,
        "target_wait_seconds": 30,
        "longest_task_seconds": 600,
        "visibility_timeout_seconds": 3_600,
        "workers_failing": 0,
    }.items():
        assert told[f"sluiceway_taskqueue_{name}"] == [(VIDEO, value)], name
    states = {labels["state"]: value for labels, value in told["sluiceway_taskqueue_workers"]}
    assert states == {"ready": 2, "starting": 1, "draining": 1, "silent": 0}


def test_what_is_parked_is_counted_and_the_first_that_is_overdue_is_told() -> None:
    def told(*etas: float) -> tuple[float, float]:
        meters = FleetMeters()
        queues = (
            QueueView(name="video", length=0, parked=70, parked_etas=etas),
            QueueView(name="clips", length=0),
        )
        meters.add(status(queues=queues))
        found = scraped(meters)
        names = ("tasks_parked", "parked_overdue_seconds")
        many, overdue = (found[f"sluiceway_taskqueue_{name}"][0][1] for name in names)
        return many, overdue

    assert told(1_030.0, 9_000.0) == (70, 0.0)
    assert told(970.0, 9_000.0) == (70, 30.0)


def test_workers_that_do_not_stay_up_are_told() -> None:
    meters = FleetMeters()
    meters.add(status(conditions={READY: (Verdict.FALSE, "WorkersFailing")}))

    assert scraped(meters)["sluiceway_taskqueue_workers_failing"] == [(VIDEO, 1)]


def test_a_taskqueue_has_one_reason_at_a_time() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.add(status(reason=Reason.IDLE))

    assert scraped(meters)["sluiceway_taskqueue_reason"] == [(VIDEO | {"reason": "Idle"}, 1)]


def test_a_number_that_is_not_known_is_absent_and_never_zero() -> None:
    meters = FleetMeters()
    meters.add(
        status(
            queues=(QueueView(name="video", problem="nothing listens there"),),
            waiting=None,
            oldest_wait_s=None,
            in_flight=None,
            scheduled=0,
            arrival_rate_per_s=None,
            mean_run_time_s=None,
            conditions={
                DEMAND_KNOWN: (Verdict.FALSE, "BrokerUnknown"),
                READY: (Verdict.UNKNOWN, "BrokerUnknown"),
            },
        )
    )

    told = scraped(meters)

    assert told["sluiceway_taskqueue_broker_up"] == [(VIDEO, 0)]
    assert told["sluiceway_taskqueue_demand_known"] == [(VIDEO, 0)]
    parked = ("tasks_parked", "parked_overdue_seconds")
    for name in ("tasks_in_flight", "tasks_scheduled", "arrival_rate", "ready", *parked):
        assert f"sluiceway_taskqueue_{name}" not in told
    assert "sluiceway_queue_length" not in told
    assert "sluiceway_queue_oldest_task_age_seconds" not in told


def test_the_queues_of_a_broker_that_the_workers_do_not_use_are_not_told() -> None:
    meters = FleetMeters()
    meters.add(status(conditions={DEMAND_KNOWN: (Verdict.FALSE, "BrokerMismatch")}))

    told = scraped(meters)

    assert "sluiceway_queue_length" not in told
    assert told["sluiceway_taskqueue_broker_up"] == [(VIDEO, 1)]


def test_a_queue_in_which_nothing_waits_has_an_oldest_age_of_zero() -> None:
    meters = FleetMeters()
    for_later = QueueView(name="later", length=2, head_eta=2_000.0)
    meters.add(status(queues=(QueueView(name="empty", length=0), for_later)))

    ages = scraped(meters)["sluiceway_queue_oldest_task_age_seconds"]

    assert [(labels["queue"], age) for labels, age in ages] == [("empty", 0), ("later", 0)]


def test_scale_actions_are_counted_once_each_and_by_direction() -> None:
    meters = FleetMeters()
    for asked_before, asked in [(4, 4), (4, 9), (4, 9), (9, 9), (9, 2), (7, 7), (7, 8)]:
        # The second (4, 9) is the first one, which could not be carried out; 2 → 7 was a person.
        meters.add(status(asked_before=asked_before, asked=asked))

    actions = scraped(meters)["sluiceway_taskqueue_scale_actions_total"]

    assert {labels["direction"]: n for labels, n in actions} == {"up": 2, "down": 1}


def test_each_worker_that_is_asked_to_drain_counts_once_and_not_again_after_a_new_leader() -> None:
    meters = FleetMeters()
    for drain in [("a",), ("a", "b"), ("b", "c"), (), ("c",)]:
        meters.add(status(drain=drain))

    assert scraped(meters)["sluiceway_taskqueue_drains_total"] == [(VIDEO, 3)]


def test_a_tick_that_failed_is_counted_beside_the_last_good_numbers() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.failed("shop/video", 1_002.0, RuntimeError("no"))

    told = scraped(meters)

    assert told["sluiceway_taskqueue_tick_errors_total"] == [(VIDEO, 1)]
    assert told["sluiceway_taskqueue_desired_replicas"] == [(VIDEO, 3)]


def test_pods_that_kubernetes_removed_in_place_of_the_drained_ones_are_counted() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.went_otherwise("shop/video", 2)
    meters.went_otherwise("shop/video", 1)

    assert scraped(meters)["sluiceway_taskqueue_pods_removed_otherwise_total"] == [(VIDEO, 3)]


def test_a_taskqueue_whose_first_tick_fails_already_has_its_errors_counted() -> None:
    meters = FleetMeters()
    meters.failed("shop/video", 1_000.0, RuntimeError("no"))

    told = scraped(meters)

    assert told["sluiceway_taskqueue_tick_errors_total"] == [(VIDEO, 1)]
    assert "sluiceway_taskqueue_desired_replicas" not in told


def test_the_series_of_a_taskqueue_that_is_deleted_vanish() -> None:
    meters = FleetMeters()
    meters.add(status("shop/video"))
    meters.add(status("shop/mail"))
    meters.failed("shop/mail", 0.0, RuntimeError("no"))

    meters.drop("shop/mail")

    text = text_of(meters)
    assert 'taskqueue="video"' in text
    assert 'taskqueue="mail"' not in text


def test_a_replica_that_leads_no_more_tells_of_no_taskqueue() -> None:
    meters = FleetMeters()
    meters.add(status())

    meters.clear()

    assert "taskqueue=" not in text_of(meters)


def test_a_fleet_at_rest_was_looked_at_when_it_was_looked_at_last() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.still("shop/video", 1_010.0)

    told = scraped(meters)

    assert told["sluiceway_taskqueue_last_tick_timestamp_seconds"] == [(VIDEO, 1_010)]
