"""Every metric of the operator itself, told by every replica."""

from __future__ import annotations

from sluiceway.report.metric import Kind, Metric

BUILD = Metric(
    name="sluiceway_build_info",
    kind=Kind.GAUGE,
    help="1, labelled with the version that runs.",
    labels=("version",),
)
IS_LEADER = Metric(
    name="sluiceway_is_leader",
    kind=Kind.GAUGE,
    help="1 on the one replica that acts, 0 on those that stand by.",
)
TICK_DURATION = Metric(
    name="sluiceway_tick_duration_seconds",
    kind=Kind.HISTOGRAM,
    help="How long one look at a broker took, with deciding and acting for its TaskQueues.",
)
WATCH_SYNCED = Metric(
    name="sluiceway_watch_synced",
    kind=Kind.GAUGE,
    help="Whether a first list of this resource was complete.",
    labels=("resource",),
)
WATCH_STALE = Metric(
    name="sluiceway_watch_stale_seconds",
    kind=Kind.GAUGE,
    help="For how long the view of this resource has not been known to be true; 0 while it is. "
    "Nothing that rests on a stale view is changed.",
    labels=("resource",),
)
STATUS_WRITES = Metric(
    name="sluiceway_status_writes_total",
    kind=Kind.COUNTER,
    help="Writes of a status to the API server, by result: written or failed.",
    labels=("result",),
)
KUBERNETES_REQUESTS = Metric(
    name="sluiceway_kubernetes_requests_total",
    kind=Kind.COUNTER,
    help="Requests to the API server by verb and HTTP code; code is none where no answer came.",
    labels=("verb", "code"),
)

OPERATOR_METRICS: tuple[Metric, ...] = (
    BUILD,
    IS_LEADER,
    TICK_DURATION,
    WATCH_SYNCED,
    WATCH_STALE,
    STATUS_WRITES,
    KUBERNETES_REQUESTS,
)
"""What is told of the operator itself, by every replica."""

TICK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
