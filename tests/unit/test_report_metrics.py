"""What /metrics tells: true numbers of what exists, by the field's names, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import QueueView
from sluiceway.report.celery_metrics import CELERY_METRICS
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.meters import FleetMeters, OperatorMeters, exposition, registry_of
from sluiceway.report.metrics import FLEET_METRICS, OPERATOR_METRICS, Kind
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers
from sluiceway.report.work import NO_WORK, FleetWork, WorkerAlive
from sluiceway_worker.wire import BOUNDS_S, TaskWork

VIDEO = {"namespace": "shop", "taskqueue": "video"}
WORK = FleetWork(
    done={
        "a:1": [
            TaskWork(
                queue="video",
                name="encode",
                started=5,
                succeeded=2,
                retried=1,
                rejected=1,
                failed={"OSError": 1},
                run_sum_s=12.5,
                runs=[0, 0, 0, 1, 4],
                wait_sum_s=3.0,
                waits=[4, 0, 0, 0, 1],
            )
        ]
    },
    longest_s={"encode": 42.0},
    workers=(
        WorkerAlive(name="a", up=True, active=3, slots=4),
        WorkerAlive(name="b", up=False, active=1, slots=4),
    ),
    visibility_timeout_s=3_600.0,
)


def status(
    fleet: str = "shop/video",
    *,
    asked: int = 4,
    asked_before: int = 4,
    conditions: dict[str, tuple[Verdict, str]] | None = None,
    **more: Any,
) -> FleetStatus:
    verdicts = dict.fromkeys((READY, DEMAND_KNOWN, WAKING), (Verdict.TRUE, "Fine"))
    given: dict[str, Any] = {
        "queues": (
            QueueView(name="video", length=1_140, oldest_wait_s=12.4),
            QueueView(name="clips", length=0),
        ),
        "waiting": 1_140,
        "oldest_wait_s": 12.4,
        "in_flight": 8,
        "scheduled": 3,
        "arrival_rate_per_s": 0.5,
        "mean_run_time_s": 2.0,
        "workers_report": True,
        "reason": Reason.MEETING_TARGET,
        "sentence": "4 workers: 1 140 waiting tasks.",
        "steps": (),
        "target_wait_s": 30.0,
        "longest_task_s": 600.0,
        "work": WORK,
    }
    workers = Workers(
        asked=asked,
        asked_before=asked_before,
        desired=3,
        ready=2,
        starting=1,
        draining=1,
        silent=0,
        asked_to_drain=1,
        recommended=5,
    )
    return FleetStatus(
        fleet=fleet,
        at=1_000.0,
        workers=workers,
        conditions=tuple(
            Condition(type=type_, status=verdict, reason=reason, message="", since=0.0)
            for type_, (verdict, reason) in (verdicts | (conditions or {})).items()
        ),
        **given | more,
    )


class View:
    """A watch as it is told."""

    def __init__(self, *, synced: bool, stale_since: float | None = None) -> None:
        self.synced = synced
        self.stale_since = stale_since


def operator(**watches: View) -> OperatorMeters:
    return OperatorMeters(version="1.2", leads=lambda: True, watches=watches, clock=lambda: 100.0)


def text_of(fleets: FleetMeters) -> str:
    pieces, media_type = exposition(fleets, registry_of(), "")
    assert media_type.startswith("text/plain")
    return b"".join(pieces).decode()


def scraped(
    fleets: FleetMeters | None = None, beside: OperatorMeters | None = None
) -> dict[str, list[tuple[Any, float]]]:
    """Name → (labels, value) of each series, as Prometheus reads the text."""
    registry = registry_of() if beside is None else registry_of(beside)
    pieces, _ = exposition(fleets or FleetMeters(), registry, "")
    text = b"".join(pieces)
    found: dict[str, list[tuple[Any, float]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


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


def test_what_the_operator_does_is_told_also_where_there_is_no_taskqueue() -> None:
    meters = operator(pods=View(synced=True, stale_since=88.0), deployments=View(synced=True))
    meters.ticked(0.003)
    meters.ticked(0.3)
    meters.status_written()
    meters.asked("PATCH", 200)
    meters.asked("PATCH", None)

    told = scraped(beside=meters)

    assert told["sluiceway_build_info"] == [({"version": "1.2"}, 1)]
    assert told["sluiceway_is_leader"] == [({}, 1)]
    assert told["sluiceway_tick_duration_seconds_count"] == [({}, 2)]
    assert told["sluiceway_tick_duration_seconds_sum"] == [({}, 0.303)]
    buckets = {ls["le"]: n for ls, n in told["sluiceway_tick_duration_seconds_bucket"]}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (1, 1, 2, 2)
    assert told["sluiceway_watch_stale_seconds"] == [
        ({"resource": "pods"}, 12),
        ({"resource": "deployments"}, 0),
    ]
    assert told["sluiceway_status_writes_total"] == [
        ({"result": "written"}, 1),
        ({"result": "failed"}, 0),
    ]
    assert told["sluiceway_kubernetes_requests_total"] == [
        ({"verb": "PATCH", "code": "200"}, 1),
        ({"verb": "PATCH", "code": "none"}, 1),
    ]
    assert "process_resident_memory_bytes" in told


def test_a_view_that_was_never_whole_has_no_age() -> None:
    told = scraped(beside=operator(pods=View(synced=False, stale_since=0.0)))

    assert told["sluiceway_watch_synced"] == [({"resource": "pods"}, 0)]
    assert "sluiceway_watch_stale_seconds" not in told


def test_who_asks_for_open_metrics_is_given_it() -> None:
    fleets = FleetMeters()
    fleets.add(status())

    pieces, media_type = exposition(
        fleets, registry_of(operator()), "application/openmetrics-text; version=1.0.0"
    )
    text = b"".join(pieces)

    assert media_type.startswith("application/openmetrics-text")
    names = {family.name for family in open_metrics_families(text.decode())}
    assert "sluiceway_taskqueue_drains" in names


def test_names_with_quotes_and_line_breaks_in_them_are_read_back_as_they_are() -> None:
    odd = 'a "queue"\\with\nall'
    meters = FleetMeters()
    meters.add(status(queues=(QueueView(name=odd, length=7),)))

    assert scraped(meters)["sluiceway_queue_length"] == [(VIDEO | {"queue": odd}, 7)]


def test_a_fleet_at_rest_was_looked_at_when_it_was_looked_at_last() -> None:
    meters = FleetMeters()
    meters.add(status())
    meters.still("shop/video", 1_010.0)

    told = scraped(meters)

    assert told["sluiceway_taskqueue_last_tick_timestamp_seconds"] == [(VIDEO, 1_010)]


def test_thousands_of_taskqueues_come_in_pieces_none_of_which_is_large() -> None:
    meters = FleetMeters()
    for n in range(3_000):
        meters.add(status(f"shop/{n}", work=NO_WORK))

    pieces, _ = exposition(meters, registry_of(), "")
    sizes = [piece.count(b"\n") for piece in pieces]

    assert sum(sizes) > 90_000
    assert max(sizes) < sum(sizes) / 10


def test_all_that_is_exposed_is_declared() -> None:
    fleets = FleetMeters()
    fleets.add(status())
    fleets.dead_letters("shop/video", 0)
    suffix = re.compile(r"_(bucket|count|sum)$")

    exposed = {
        name if not name.startswith("sluiceway_tick_duration") else suffix.sub("", name)
        for name in scraped(fleets, operator(pods=View(synced=True)))
        if name.startswith("sluiceway_")
    }
    exposed |= {
        suffix.sub("", name) if "time_" in name else name
        for name in scraped(fleets)
        if name.startswith("celery_")
    }

    declared = {metric.name for metric in (*FLEET_METRICS, *OPERATOR_METRICS, *CELERY_METRICS)}
    assert exposed == declared - {"sluiceway_kubernetes_requests_total"}  # nothing was asked


@pytest.mark.parametrize("metric", [*FLEET_METRICS, *OPERATOR_METRICS], ids=lambda m: m.name)
def test_names_follow_the_rules_of_promtool_check_metrics(metric: Any) -> None:
    parts = metric.name.split("_")

    assert metric.help
    assert parts[0] == "sluiceway"
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name), "snake_case, and no colon"
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)
    assert not {"le", "quantile"} & set(metric.labels)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not metric.name.endswith(("_count", "_sum", "_bucket"))
    assert not {"gauge", "counter", "histogram", "summary"} & set(parts)
    abbreviations = {"s", "ms", "us", "ns", "sec", "m", "min", "h", "d", "b", "kb", "mb", "gb"}
    assert not abbreviations & set(parts)
    not_base = {"minutes", "hours", "days", "milliseconds", "kilobytes", "megabytes", "percent"}
    assert not not_base & set(parts)
