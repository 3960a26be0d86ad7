"""A TaskQueue's status, and what Prometheus reads of it: for tests of what /metrics tells."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import QueueView
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.exposition import exposition, registry_of
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.operator_meters import OperatorMeters
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers
from sluiceway.report.work import FleetWork, WorkerAlive
from sluiceway_worker.heartbeat import TaskWork

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
