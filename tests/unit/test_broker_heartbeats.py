"""Heartbeats that are read again and again say the same as those that are read once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluiceway.broker.heartbeats import Heartbeats
from sluiceway_worker.heartbeat import Heartbeat, RunningTask, TaskTimes, TaskWork

BEAT = Heartbeat(
    incarnation="a:1",
    name="a",
    fleet="shop/video",
    queues=["video", "clips"],
    state="consuming",
    slots=4,
    active=1,
    earliest_eta=1_000.5,
    tasks={"encode": TaskTimes(count=3, sum_s=4.5, sumsq_s2=9.25)},
    work=[TaskWork(queue="video", name="encode", started=4, failed={"OSError": 1}, runs=[0, 3])],
    running=[RunningTask(queue="video", name="encode", for_s=2.5)],
    up_s=12.0,
    started_in_s=1.25,
    run_id="e5",
)


def bytes_of(beat: Heartbeat) -> bytes:
    return beat.to_json().encode()


def test_what_is_read_is_what_the_worker_wrote_also_when_something_of_it_changes() -> None:
    heartbeats = Heartbeats()
    later = replace(BEAT, up_s=13.0, running=[], active=0)
    more = replace(later, tasks={"encode": TaskTimes(count=4, sum_s=5.0, sumsq_s2=9.5)})
    most = replace(more, work=[TaskWork(queue="video", name="encode", started=5)])
    nothing = replace(most, tasks={}, work=[])

    for beat in (BEAT, later, more, most, nothing, BEAT):
        heartbeats.begin()
        assert heartbeats.read(bytes_of(beat)) == beat


def test_counts_that_stay_as_they_were_are_not_built_anew() -> None:
    heartbeats = Heartbeats()
    heartbeats.begin()
    first = heartbeats.read(bytes_of(BEAT))
    heartbeats.begin()

    second = heartbeats.read(bytes_of(replace(BEAT, up_s=13.0, processed=9)))

    assert second.work is first.work
    assert second.tasks is first.tasks
    assert (second.up_s, second.processed) == (13.0, 9)


def test_one_worker_is_never_told_with_another_one_s_counts() -> None:
    heartbeats = Heartbeats()
    other = replace(BEAT, incarnation="b:1", name="b", work=[], tasks={})
    for _ in range(2):
        heartbeats.begin()
        assert heartbeats.read(bytes_of(BEAT)) == BEAT
        assert heartbeats.read(bytes_of(other)) == other


@pytest.mark.parametrize(
    "change",
    [
        {"unheard_of": [1, 2]},
        {"work": [["video", "encode", 1, 1, 0, 0, {}, 0.5, [1], 0.0, [], "of a newer worker"]]},
        {"running": [["video", "encode", 2.5, "of a newer worker"]]},
        {"slots": 4.0},
        {"queues": ["only"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_newer_or_looser_worker_is_understood_as_ever(change: dict[str, object]) -> None:
    payload = json.dumps(json.loads(BEAT.to_json()) | change).encode()

    heartbeats = Heartbeats()
    heartbeats.begin()

    assert heartbeats.read(payload) == Heartbeat.from_json(payload)


def test_a_heartbeat_of_an_old_worker_that_says_little_is_understood() -> None:
    few = {"incarnation": "a:1", "name": "a", "fleet": "", "queues": [], "state": "x", "slots": 1}
    payload = json.dumps(few).encode()
    heartbeats = Heartbeats()

    assert heartbeats.read(payload) == Heartbeat.from_json(payload)


@pytest.mark.parametrize(
    "change", [{"visibility_timeout_s": "1h"}, {"fleet": ["shop"]}, {"slots": None}], ids=str
)
def test_what_nobody_could_count_with_is_refused(change: dict[str, object]) -> None:
    payload = json.dumps(json.loads(BEAT.to_json()) | change).encode()
    with pytest.raises(ValueError, match=f"not a heartbeat: {next(iter(change))} is"):
        Heartbeats().read(payload)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"name": 1}', b"\xff", b'{"work": 3}'])
def test_what_is_no_heartbeat_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a heartbeat"):
        Heartbeats().read(payload)
