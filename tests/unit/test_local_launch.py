"""From a TaskQueue to a worker's command line and environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.launch import Launch, launch_of, link_agent

SECRET = "redis://:s3cret@127.0.0.1:6379/2"


def taskqueue(**worker: Any) -> TaskQueue:
    return TaskQueue.from_outside(
        {
            "metadata": {"name": "video", "namespace": "shop"},
            "spec": {"queues": ["video", "video-late"], "worker": {"app": "tasks", **worker}},
        }
    )


def launch(tq: TaskQueue, **given: Any) -> Launch:
    return launch_of(tq, **{"broker_url": SECRET, "env": {}, "python": "python", **given})


def test_a_worker_is_started_as_the_spec_says() -> None:
    argv = launch(taskqueue(concurrency=4, pool="threads")).argv_for("video-1")

    assert argv == [
        *("python", "-m", "sluiceway_worker", "-A", "tasks"),
        *("-Q", "video,video-late", "-P", "threads", "-c", "4", "-n", "video-1@%h"),
    ]


def test_celery_chooses_the_concurrency_where_the_spec_names_none() -> None:
    assert "-c" not in launch(taskqueue()).argv


def test_the_broker_and_its_password_are_never_on_the_command_line() -> None:
    started = launch(taskqueue())

    assert not any("s3cret" in word for word in started.argv_for("video-1"))
    assert started.env_for("video-1")["CELERY_BROKER_URL"] == SECRET


def test_a_worker_is_told_its_fleet_and_its_name() -> None:
    env = launch(taskqueue()).env_for("video-7")

    assert (env["SLUICEWAY_FLEET"], env["SLUICEWAY_NAME"]) == ("shop/video", "video-7")


def test_the_address_that_is_read_wins_over_the_one_that_is_inherited() -> None:
    inherited = {"CELERY_BROKER_READ_URL": "redis://elsewhere/0", "HOME": "/home/dev"}

    env = launch(taskqueue(), env=inherited).env_for("video-1")

    assert env["CELERY_BROKER_READ_URL"] == SECRET
    assert env["HOME"] == "/home/dev"


def test_literal_variables_of_the_template_are_set_and_references_are_left_out() -> None:
    variables = [
        {"name": "MEDIA", "value": "/srv/media"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
    ]
    template = {
        "spec": {
            "containers": [
                {"name": "worker", "env": variables},
                {"name": "sidecar", "env": [{"name": "ELSEWHERE", "value": "1"}]},
            ]
        }
    }

    env = launch(taskqueue(template=template)).env

    assert env["MEDIA"] == "/srv/media"
    assert not {"TOKEN", "ELSEWHERE"} & env.keys()


@pytest.mark.parametrize(
    "template",
    [
        {"spec": None},
        {"spec": {"containers": None}},
        {"spec": {"containers": [{"name": "worker", "env": None}]}},
        {"spec": {"containers": [{"name": "worker", "env": [{"name": "A", "value": None}]}]}},
    ],
    ids=["spec", "containers", "env", "value"],
)
def test_what_is_left_empty_in_the_template_says_nothing(template: dict[str, Any]) -> None:
    assert launch(taskqueue(template=template)).env == launch(taskqueue()).env


def test_the_grace_period_is_the_longest_task_and_a_margin() -> None:
    assert launch(taskqueue(longestTask="2h")).grace_s == 2 * 3600 + 30


def test_the_application_decides_on_acknowledgement_where_the_agent_is_injected() -> None:
    assert launch(taskqueue()).env["SLUICEWAY_ACKS"] == "app"
    assert launch(taskqueue(agent="image")).env["SLUICEWAY_ACKS"] == "late"
    assert launch(taskqueue(acks="early")).env["SLUICEWAY_ACKS"] == "early"


def test_an_interpreter_without_the_agent_is_given_it_and_nothing_else(tmp_path: Path) -> None:
    place = link_agent(tmp_path)

    lone = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c"),
            "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p];"
            f"sys.path.append({str(place)!r});"
            "import sluiceway_worker.wire as w; print(w.__file__)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert lone.stdout.startswith(str(place))
    assert [entry.name for entry in place.iterdir()] == ["sluiceway_worker"]
