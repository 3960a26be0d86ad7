"""From a reading and the workers that exist to one observation, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import parse_address
from sluiceway.broker.facts import BrokerFacts
from sluiceway.broker.reading import (
    BrokerQueue,
    BrokerReading,
    Head,
    Heard,
    HeldFacts,
    QueueFacts,
    WorkerFacts,
)
from sluiceway.decide.observation import Observation, WorkerState
from sluiceway.observe import Memory, Reading, RunningWorker, Watched, observe
from sluiceway.observe.reader import requests_of
from sluiceway.observe.workers import ELSEWHERE_GRACE_S, UNHEARD_GRACE_S
from sluiceway_worker.heartbeat import Heartbeat

URL = "redis://redis:6379/0"
SERVER_AHEAD_S = 500.0
"""The server's clock is that far ahead of the operator's."""
BEAT = Heartbeat(
    incarnation="video-1:a",
    name="video-1",
    fleet="shop/video",
    queues=["video"],
    state="consuming",
    slots=2,
    active=1,
    reserved=2,
    processed=10,
    up_s=60.0,
    run_id="here",
)


def fleet(url: str = URL, *, agent: str = "image", **broker: Any) -> Watched:
    worker = {"app": "tasks", "image": "shop:1", "agent": agent}
    spec = {"broker": broker, "worker": worker}
    meta = {"name": "video", "namespace": "shop"}
    return Watched.of(TaskQueue.model_validate({"metadata": meta, "spec": spec}), url)


def reading(
    watched: Watched,
    *beats: Heartbeat,
    at: float = 0.0,
    age_s: float = 0.5,
    queue: QueueFacts = QueueFacts(length=0),  # noqa: B008  # frozen
    held: HeldFacts = HeldFacts(count=0),  # noqa: B008  # frozen
    facts: BrokerFacts = BrokerFacts(run_id="here", is_primary=True),  # noqa: B008  # frozen
    **broker: Any,
) -> Reading:
    assert watched.address is not None
    heard = tuple(Heard(heartbeat=beat, age_s=age_s) for beat in beats)
    found = BrokerReading(
        facts=facts,
        server_time=at + SERVER_AHEAD_S,
        queues=dict.fromkeys(watched.broker_queues, queue),
        workers={watched.prefix: WorkerFacts(heard=heard)},
        held={watched.prefix: held},
    )
    return Reading(brokers={watched.address: replace(found, **broker)})


class Timeline:
    """One fleet observed again and again, with its memory."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.memory = Memory()

    def see(
        self, at: float, *beats: Heartbeat, workers: Iterable[RunningWorker] = (), **more: Any
    ) -> Observation:
        found = reading(self.watched, *beats, at=at, **more)
        return self.see_reading(at, found, workers)

    def see_reading(
        self, at: float, found: Reading, workers: Iterable[RunningWorker] = ()
    ) -> Observation:
        observation, self.memory = observe(
            found, self.watched, workers=workers, replicas=1, memory=self.memory, now=at
        )
        return observation


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(fleet())


def worker(name: str = "video-1", **more: Any) -> RunningWorker:
    return RunningWorker(name=name, **{"created_at": 0.0, "ready": True} | more)


def states(observation: Observation) -> list[WorkerState]:
    return [view.state for view in observation.workers]


def test_a_worker_starts_speaks_falls_silent_and_is_gone(timeline: Timeline) -> None:
    assert states(timeline.see(0.0, workers=[worker()])) == [WorkerState.STARTING]
    assert states(timeline.see(1.0, BEAT, workers=[worker()])) == [WorkerState.CONSUMING]
    assert states(timeline.see(2.0, workers=[worker()])) == [WorkerState.SILENT]
    assert states(timeline.see(3.0, BEAT, workers=[worker()])) == [WorkerState.CONSUMING]
    assert states(timeline.see(4.0)) == []
    # Another of the same name has never been heard.
    assert states(timeline.see(5.0, workers=[worker()])) == [WorkerState.STARTING]


@pytest.mark.parametrize("state", ["consuming", "draining", "drained", "stopping"])
def test_a_worker_is_in_the_state_that_it_says(timeline: Timeline, state: str) -> None:
    observation = timeline.see(0.0, replace(BEAT, state=state), workers=[worker()])
    assert states(observation) == [WorkerState(state)]


def test_a_state_of_a_newer_worker_is_not_taken_for_capacity(timeline: Timeline) -> None:
    observation = timeline.see(0.0, replace(BEAT, state="pondering"), workers=[worker()])
    assert states(observation) == [WorkerState.SILENT]


def test_a_worker_that_was_told_to_go_is_stopping_whatever_it_says(timeline: Timeline) -> None:
    going = worker(stopping=True)
    assert states(timeline.see(0.0, workers=[going])) == [WorkerState.STOPPING]
    assert states(timeline.see(1.0, BEAT, workers=[going])) == [WorkerState.STOPPING]


def test_a_silent_worker_keeps_its_last_numbers(timeline: Timeline) -> None:
    timeline.see(0.0, BEAT, workers=[worker()])
    silent = timeline.see(1.0, workers=[worker()])
    assert (silent.workers[0].active, silent.workers[0].processed) == (1, 10)
    assert silent.in_flight == 3
    gone = timeline.see(2.0)
    assert gone.in_flight == 0


def test_the_age_of_a_heartbeat_lengthens_what_runs(timeline: Timeline) -> None:
    beat = replace(BEAT, running_for_s=7.0)
    observation = timeline.see(0.0, beat, age_s=1.5, workers=[worker()])
    assert observation.workers[0].running_for_s == 8.5


def test_a_heartbeat_without_a_fleet_is_taken_by_its_workers_name(timeline: Timeline) -> None:
    nameless = replace(BEAT, fleet="")
    assert timeline.see(0.0, nameless, workers=[worker()]).in_flight == 3
    assert timeline.see(1.0, nameless, workers=[worker("video-2")]).in_flight == 0


def test_work_of_a_worker_that_nobody_lists_yet_is_in_flight(timeline: Timeline) -> None:
    assert timeline.see(0.0, BEAT).in_flight == 3


def test_ages_are_taken_by_the_servers_clock(timeline: Timeline) -> None:
    head = Head(step=0, message_id="a", published=SERVER_AHEAD_S + 70.0)
    observation = timeline.see(100.0, queue=QueueFacts(length=1, heads=(head,)))
    assert observation.at == 100.0
    assert observation.queues[0].oldest_wait_s == 30.0


def test_ready_workers_that_nobody_hears_mean_another_broker(timeline: Timeline) -> None:
    ready = [worker("video-1"), worker("video-2")]
    assert timeline.see(0.0, workers=ready).mismatch is None
    assert timeline.see(UNHEARD_GRACE_S - 0.1, workers=ready).mismatch is None
    observation = timeline.see(UNHEARD_GRACE_S, workers=ready)
    assert observation.mismatch is not None
    assert "2 of the workers are ready, and none is heard" in observation.mismatch
    assert not observation.known


def test_a_worker_that_is_not_ready_may_be_silent_for_long(timeline: Timeline) -> None:
    for ready in (False, None):
        timeline.see(0.0, workers=[worker(ready=ready)])
        assert timeline.see(1000.0, workers=[worker(ready=ready)]).mismatch is None


def test_the_grace_counts_from_when_the_worker_became_ready(timeline: Timeline) -> None:
    timeline.see(0.0, workers=[worker(ready=False)])
    timeline.see(1000.0, workers=[worker()])
    assert timeline.see(1009.0, workers=[worker()]).mismatch is None
    assert timeline.see(1010.0, workers=[worker()]).mismatch is not None


def test_one_heard_worker_tells_that_the_broker_is_the_right_one(timeline: Timeline) -> None:
    both = [worker("video-1"), worker("video-2")]
    timeline.see(0.0, BEAT, workers=both)
    assert timeline.see(1000.0, BEAT, workers=both).mismatch is None


def test_ready_workers_that_are_not_heard_beside_one_that_is_have_no_agent() -> None:
    timeline = Timeline(fleet(agent="inject"))
    three = [worker("video-1"), worker("video-2"), worker("video-3")]
    assert timeline.see(0.0, BEAT, workers=three).agent_problem is None
    observation = timeline.see(UNHEARD_GRACE_S, BEAT, workers=three)
    assert observation.agent_problem == (
        "2 of 3 workers are ready and were never heard: the agent did not "
        "start, and they run as plain Celery (its first lines say why: kubectl logs video-2)"
    )
    assert observation.known


def test_an_agent_that_started_nowhere_may_also_be_another_broker() -> None:
    timeline = Timeline(fleet(agent="inject"))
    timeline.see(0.0, workers=[worker()])
    observation = timeline.see(UNHEARD_GRACE_S, workers=[worker()])
    assert observation.agent_problem == observation.mismatch
    assert "or the agent did not start" in str(observation.mismatch)


def test_workers_that_fell_silent_do_not_mean_another_broker(timeline: Timeline) -> None:
    timeline.see(0.0, BEAT, workers=[worker()])
    timeline.see(1.0, workers=[worker()])
    observation = timeline.see(1000.0, workers=[worker()])
    assert (observation.mismatch, states(observation)) == (None, [WorkerState.SILENT])


def test_time_in_which_the_broker_was_away_is_no_silence(timeline: Timeline) -> None:
    timeline.see(0.0, workers=[worker()])
    down = reading(timeline.watched, at=500.0, problem="down")
    timeline.see_reading(500.0, down, [worker()])
    assert timeline.see(501.0, workers=[worker()]).mismatch is None


def test_without_an_agent_nobody_is_expected_to_speak() -> None:
    timeline = Timeline(fleet(agent="none"))
    timeline.see(0.0, workers=[worker()])
    observation = timeline.see(1000.0, workers=[worker()])
    assert (observation.mismatch, observation.workers_report) == (None, False)


def test_without_an_agent_a_worker_that_is_ready_counts_as_capacity() -> None:
    workers = [worker("a"), worker("b", ready=False), worker("c", stopping=True)]
    expected = [WorkerState.CONSUMING, WorkerState.STARTING, WorkerState.STOPPING]
    timeline = Timeline(fleet(agent="none"))
    assert states(timeline.see(0.0, workers=workers)) == expected
    down = reading(timeline.watched, at=1.0, problem="down")
    assert states(timeline.see_reading(1.0, down, workers)) == expected


@pytest.mark.parametrize(
    ("beat", "says"),
    [(replace(BEAT, db=3), "database 3"), (replace(BEAT, prefix="shop:"), "keyPrefix")],
    ids=["database", "prefix"],
)
def test_a_heartbeat_that_belongs_elsewhere_is_a_mismatch(
    timeline: Timeline, beat: Heartbeat, says: str
) -> None:
    observation = timeline.see(0.0, beat, workers=[worker()])
    assert observation.mismatch is not None
    assert says in observation.mismatch
    assert not observation.known


def test_a_worker_that_goes_on_to_name_another_server_is_a_mismatch(timeline: Timeline) -> None:
    beat = replace(BEAT, run_id="there")
    assert timeline.see(0.0, beat).mismatch is None
    assert timeline.see(ELSEWHERE_GRACE_S - 0.1, beat).mismatch is None
    said = timeline.see(ELSEWHERE_GRACE_S, beat).mismatch
    assert said is not None
    assert "another Redis server" in said


def test_a_restarted_server_is_another_only_until_the_worker_has_asked_it(
    timeline: Timeline,
) -> None:
    before, after = replace(BEAT, run_id="before"), replace(BEAT, run_id="here")
    timeline.see(0.0, before)
    timeline.see(30.0, after)
    timeline.see(40.0, before)
    assert timeline.see(90.0, before).mismatch is None


@pytest.mark.parametrize(
    "facts",
    [BrokerFacts(), BrokerFacts(run_id="replica", is_primary=False)],
    ids=["run id not known", "read from a replica"],
)
def test_another_run_id_proves_nothing_when(timeline: Timeline, facts: BrokerFacts) -> None:
    beat = replace(BEAT, run_id="there")
    timeline.see(0.0, beat, facts=facts)
    assert timeline.see(1000.0, beat, facts=facts).mismatch is None


def test_a_broker_that_cannot_be_read_leaves_nothing_known(timeline: Timeline) -> None:
    timeline.see(0.0, BEAT, workers=[worker()])
    down = Reading(brokers={parse_address(URL): BrokerReading(problem="it is down")})
    observation = timeline.see_reading(1.0, down, [worker(), worker("video-2")])
    assert observation.broker_problem == "it is down"
    assert [(q.name, q.length, q.problem) for q in observation.queues] == [
        ("video", None, "it is down")
    ]
    assert (observation.in_flight, observation.unacked, observation.known) == (None, None, False)
    # What the workers said last still stands: it is us who cannot hear.
    assert states(observation) == [WorkerState.CONSUMING, WorkerState.STARTING]
    assert states(timeline.see(2.0, BEAT, workers=[worker()])) == [WorkerState.CONSUMING]


def test_what_was_seen_of_the_queues_outlives_trouble(timeline: Timeline) -> None:
    queue = QueueFacts(length=1, heads=(Head(step=0, message_id="a"),))
    timeline.see(0.0, queue=queue)
    timeline.see_reading(5.0, Reading())
    assert timeline.see(8.0, queue=queue).queues[0].oldest_wait_s == 8.0


def test_heartbeats_that_cannot_be_read_leave_nothing_known_where_they_are_expected() -> None:
    trouble = {"": WorkerFacts(problem="heartbeats: no")}
    reporting, plain = Timeline(fleet()), Timeline(fleet(agent="none"))
    assert reporting.see(0.0, workers=[worker()]).known
    found = reading(reporting.watched, workers=trouble)
    assert reporting.see_reading(1.0, found).broker_problem == "heartbeats: no"
    assert plain.see_reading(1.0, found).known


@pytest.mark.parametrize(
    ("held", "in_flight"),
    [
        (HeldFacts(count=0), 0),
        (HeldFacts(count=5, by_queue={"video": 2, "audio": 3}), 2),
        (HeldFacts(count=3, by_queue={"audio": 3}), 0),
        (HeldFacts(count=5), None),
        (HeldFacts(problem="no"), None),
    ],
)
def test_in_flight_work_without_an_agent_is_what_unacked_tells(
    held: HeldFacts, in_flight: int | None
) -> None:
    observation = Timeline(fleet(agent="none")).see(0.0, held=held)
    assert (observation.in_flight, observation.unacked) == (in_flight, held.count)


def test_a_fleet_that_speaks_unasked_is_believed() -> None:
    timeline = Timeline(fleet(agent="none"))
    observation = timeline.see(0.0, BEAT, held=HeldFacts(count=9), workers=[worker()])
    assert (observation.workers_report, observation.in_flight) == (True, 3)


def test_fleets_are_grouped_by_the_place_that_their_url_names() -> None:
    same = [fleet("redis://redis"), fleet("redis://redis:6379/0", keyPrefix="a:", agent="none")]
    other, broken = fleet("redis://redis:6379/1"), fleet("amqp://rabbit")
    requests = requests_of([*same, other, broken])
    assert requests.keys() == {parse_address(URL), parse_address("redis://redis:6379/1")}
    together = requests[parse_address(URL)]
    assert together.queues == {BrokerQueue(name="video"), BrokerQueue(name="video", prefix="a:")}
    assert together.prefixes == {"", "a:"}
    assert together.held_by_queue == {"a:"}


def test_a_url_that_cannot_be_used_is_the_fleets_own_problem() -> None:
    observation = Timeline(fleet("amqp://rabbit")).see_reading(0.0, Reading())
    assert observation.broker_problem is not None
    assert "not amqp://" in observation.broker_problem


@pytest.mark.parametrize(
    ("worker_spec", "reports"),
    [
        ({"agent": "inject"}, True),
        ({"agent": "image"}, True),
        ({"agent": "none"}, False),
        ({"deploymentRef": {"name": "old"}}, False),
        ({"deploymentRef": {"name": "old"}, "agent": "image"}, True),
    ],
)
def test_heartbeats_are_expected_where_the_agent_is(
    worker_spec: dict[str, Any], reports: bool
) -> None:
    taskqueue = TaskQueue.model_validate(
        {"metadata": {"name": "video"}, "spec": {"worker": worker_spec}}
    )
    assert Watched.of(taskqueue, URL).reports is reports


def test_a_cold_start_counts_from_the_wish_for_the_pod_and_not_from_its_process() -> None:
    watched = fleet()
    beat = replace(BEAT, up_s=10.0, started_in_s=2.0)
    pod = RunningWorker(name="video-1", created_at=900.0, ready=True)
    seen, _ = observe(
        reading(watched, beat, at=1000.0 + SERVER_AHEAD_S, age_s=0.5),
        watched,
        workers=[pod],
        replicas=1,
        memory=Memory(),
        now=1000.0,
    )
    assert seen.workers[0].started_in_s == 89.5
    late = replace(pod, start_counts=False)
    seen, _ = observe(
        reading(watched, beat), watched, workers=[late], replicas=1, memory=Memory(), now=1000.0
    )
    assert seen.workers[0].started_in_s is None
