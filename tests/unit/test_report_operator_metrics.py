"""What /metrics tells of the operator itself."""

from __future__ import annotations

from tests.unit.metering import View, operator, scraped


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
