"""What `top` and `explain` say of a TaskQueue in a cluster: what is known, and what is not."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from sluiceway.cli.broker_place import _look_up
from sluiceway.cli.cluster import unavailable
from sluiceway.cli.explain_cluster import is_meant, tell
from sluiceway.cli.output import CommandError
from sluiceway.cli.top_table import draw, line
from sluiceway.kube.errors import KubeError
from sluiceway.kube.taskqueues import TaskQueueSeen

NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "queueNames": "video,clips",
    "waiting": 1_140,
    "inFlight": 8,
    "scheduled": 0,
    "oldestTaskAge": "12s",
    "arrivalRate": "2.1",
    "meanRunTime": "3s200ms",
    "desiredReplicas": 4,
    "readyReplicas": 2,
    "startingReplicas": 2,
    "reason": "MeetingTarget",
    "message": "4 workers: 1140 waiting tasks.",
}


def condition(type_: str, status: str, message: str) -> dict[str, str]:
    return {
        "type": type_,
        "status": status,
        "reason": "Why",
        "message": message,
        "lastTransitionTime": "2025-11-25T11:59:00Z",
    }


def seen(name: str = "video", generation: int = 1, **status: Any) -> TaskQueueSeen:
    """A TaskQueue as the API server sends it; ``status={}`` for one without."""
    given = STATUS | status
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "shop", "generation": generation},
            "status": {key: value for key, value in given.items() if value is not None},
        },
        TaskQueueSeen,
    )


NEW = TaskQueueSeen(metadata=seen("new").metadata)


def shown(*taskqueues: TaskQueueSeen, width: int = 120, **more: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    given: dict[str, Any] = {
        "title": "https://cluster",
        "with_namespace": False,
        "height": 30,
        "last": Text("Ctrl-C ends"),
    }
    console.print(draw(taskqueues, width=width, **given | more))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> str:
    return next(" ".join(line.split()) for line in text.splitlines() if name in line.split())


def test_a_taskqueue_is_a_row_with_its_numbers_and_its_sentence() -> None:
    assert row(shown(seen()), "video") == (
        "video 1 140 12s 8 0 2/4 (2 starting) 4 workers: 1140 waiting tasks."
    )


def test_a_number_that_is_not_known_is_a_question_mark() -> None:
    unread = seen(waiting=None, oldestTaskAge=None, inFlight=None, scheduled=None)

    assert row(shown(unread), "video").startswith("video ? ? ? 2/4")
    assert "? waiting, ? running, ? scheduled" in line(unread)


def test_trouble_stands_in_place_of_the_decision_s_sentence() -> None:
    stalled = seen(
        conditions=[
            condition("Ready", "False", "WorkerClass fast does not exist"),
            condition("Stalled", "True", "WorkerClass fast does not exist"),
        ]
    )
    held = seen(conditions=[condition("ScalingActive", "False", "nothing listens there")])

    assert line(stalled).endswith("; WorkerClass fast does not exist")
    assert line(held).endswith("; nothing listens there")


def test_one_that_nobody_has_looked_at_says_so() -> None:
    assert line(NEW).endswith("not looked at yet; is an operator running?")
    assert list(tell(NEW, changes=5, now=NOON)) == [
        "shop/new: not looked at yet; is an operator running?"
    ]


NO_CLASS = "spec.worker.className: there is no WorkerClass fast; kubectl get wc lists them all"
HELD = "nothing listens on redis:6379 (connection refused); check that the broker runs"


def test_what_is_wrong_is_told_in_full_below_the_table_the_worst_first() -> None:
    held = seen("a", conditions=[condition("ScalingActive", "False", HELD)])
    stalled = seen("b", conditions=[condition("Stalled", "True", NO_CLASS)])

    text = shown(held, stalled, width=80)

    below = " ".join(text[text.index("shop/b:") :].split())
    assert below == f"shop/b: {NO_CLASS} shop/a: {HELD} Ctrl-C ends"


def test_in_eighty_columns_there_is_room_for_the_reason_still() -> None:
    text = row(shown(seen(), width=80, with_namespace=True), "video")

    assert text.startswith("shop video 1 140 12s 8 2/4 4 workers: 1140 wai")


def test_where_the_terminal_is_too_small_trouble_and_work_stay_in_the_order_of_names() -> None:
    stalled = seen("z", waiting=0, inFlight=0, conditions=[condition("Stalled", "True", "no")])
    idle = [seen(f"idle-{n}", waiting=0, inFlight=0) for n in range(20)]

    text = shown(*idle, stalled, seen("busy"), height=10)

    names = [found[0] for found in map(str.split, text.splitlines()[2:]) if found]
    assert names[:3] == ["busy", "idle-0", "z"]
    assert "… and 19 more, with less to do" in text
    assert len(text.splitlines()) <= 10


def test_however_much_is_wrong_and_however_small_the_terminal_the_view_fits() -> None:
    stalled = [
        seen(f"q{n}", conditions=[condition("Stalled", "True", NO_CLASS)]) for n in range(50)
    ]

    for height in (9, 12, 24, 60):
        assert len(shown(*stalled, width=60, height=height).splitlines()) <= height


def test_namespaces_are_shown_where_there_are_several() -> None:
    assert row(shown(seen(), with_namespace=True), "video").startswith("shop video ")


@pytest.mark.parametrize(
    ("name", "meant"), [("video", True), ("clips", True), ("vid", False), ("mail", False)]
)
def test_a_taskqueue_is_found_by_its_name_and_by_a_queue_of_it(name: str, meant: bool) -> None:
    assert is_meant(seen(), name) is meant


def test_explain_tells_the_number_what_does_not_hold_and_each_change_with_its_chain() -> None:
    one = seen(
        conditions=[
            condition("Ready", "Unknown", "2 of 4 workers do not consume yet"),
            condition("Reconciling", "True", "2 of 4 workers do not consume yet"),
            condition("Waking", "False", "polling, because a proxy refuses it"),
            condition("BrokerReachable", "True", "the broker answers"),
        ],
        changes=[
            {
                "time": "2025-11-25T11:58:00Z",
                "from": 0,
                "to": 4,
                "reason": "MeetingTarget",
                "message": "4 workers: 1200 waiting tasks.",
                "steps": [
                    {"name": "demand", "message": "1200 waiting."},
                    {"name": "limits", "replicas": 4, "message": "Between 0 and 4."},
                ],
            },
            {"time": "2025-11-24T09:00:00Z", "from": 3, "to": 0, "message": "Idle."},
        ],
    )

    told = [" ".join(text.split()) for text in tell(one, changes=5, now=NOON)]

    assert told[:4] == [
        "shop/video: 4 workers: 1140 waiting tasks.",
        "workers 2/4 (2 starting); 1 140 waiting (oldest 12s), 8 running, 0 scheduled, "
        "2.1 arrive per second, a task runs 3s200ms",
        "Ready is Unknown, Reconciling is True for 1m00s: 2 of 4 workers do not consume yet",
        "Waking is False for 1m00s: polling, because a proxy refuses it",
    ]
    assert told[4] == "the last changes, newest first:"
    assert told[5].endswith("(2m00s ago) 0 → 4: 4 workers: 1200 waiting tasks.")
    assert told[6:8] == ["demand ? 1200 waiting.", "limits 4 Between 0 and 4."]
    assert told[8].endswith("(27h00m ago) 3 → 0: Idle.")


def test_no_more_changes_are_told_than_were_asked_for() -> None:
    change = {"time": "2025-11-25T11:58:00Z", "from": 0, "to": 4, "message": "Work."}

    told = list(tell(seen(changes=[change, change]), changes=0, now=NOON))

    assert not any("changes" in text or "Work." in text for text in told)


def test_a_spec_that_changed_since_is_said_to_have() -> None:
    told = list(tell(seen(generation=2), changes=0, now=NOON))

    assert "  its spec has changed since, and has not been looked at yet" in told


class Refuses:
    """An API server that does not have what is asked for."""

    def __init__(self, message: str) -> None:
        self._message = message

    async def request(self, method: str, path: str) -> bytes:
        raise KubeError(f"API server https://video: it refuses: {self._message}", status=404)


async def test_a_taskqueue_that_is_not_there_is_told_from_a_cluster_that_knows_none() -> None:
    absent: Any = Refuses('taskqueues.sluiceway.dev "video" not found')
    with pytest.raises(CommandError, match="there is no TaskQueue video in namespace shop"):
        await _look_up(absent, "shop", "video")
    unknown: Any = Refuses("404 page not found")
    with pytest.raises(KubeError) as raised:
        await _look_up(unknown, "shop", "video")
    assert "this cluster knows no TaskQueues" in str(unavailable(raised.value))
