"""Safe defaults under Celery's own order of precedence, each case in a fresh process.

Celery's defaults are one table for a whole process: an application made here would see
what another test made of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

KEYS = (
    "task_acks_late",
    "task_reject_on_worker_lost",
    "worker_prefetch_multiplier",
    "worker_disable_prefetch",
    "broker_connection_retry_on_startup",
)

SCRIPT = """
import json, sys
from sluiceway_worker import safe_settings
safe_settings.apply(safe_settings.Acks(sys.argv[1]))
from celery import Celery
app = Celery("t", set_as_current=False)
{application}
@app.task
def plain(): ...
@app.task(acks_late=False)
def at_most_once(): ...
app.finalize()
by_agent = safe_settings.settle_prefetch(app.conf, {multiplier}, {pool!r})
values = [app.conf[key] for key in json.loads(sys.argv[2])]
print(json.dumps([[v if v is None else int(v) for v in values],
    plain.acks_late, at_most_once.acks_late,
    safe_settings.describe(app.tasks, app.conf.task_acks_late), by_agent]))
"""


def effective(
    acks: str, application: str = "", multiplier: int | None = None, pool: str = "prefork"
) -> list[Any]:
    """[the settings in the order of KEYS, a task's acks_late, of one that says False itself,
    the description of all, whether the agent keeps the worker from prefetching]"""
    script = SCRIPT.format(application=application, multiplier=multiplier, pool=pool)
    done = subprocess.run(
        [sys.executable, "-c", script, acks, json.dumps(KEYS)],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("acks", "settings", "plain_is_late", "described"),
    [
        ("late", [1, 1, 1, 1, 1], True, "mixed"),
        ("early", [0, None, 1, 1, 1], False, "early"),
        ("app", [0, None, 1, 1, 1], False, "early"),
    ],
)
def test_an_application_that_says_nothing_gets_the_safe_values(
    acks: str, settings: list[int | None], plain_is_late: bool, described: str
) -> None:
    # The task that says at-most-once itself stays so: hence «mixed» under late.
    assert effective(acks) == [settings, plain_is_late, False, described, False]


@pytest.mark.parametrize(
    "application",
    [
        "app.conf.task_acks_late = False",
        "app.conf.update(task_acks_late=False)",
        "app.config_from_object({'task_acks_late': False})",
        "app.config_from_object({'CELERY_ACKS_LATE': False})",
        "app.config_from_object({'SHOP_TASK_ACKS_LATE': False}, namespace='SHOP')",
        "app.conf.task_annotations = {'*': {'acks_late': False}}",
    ],
)
def test_what_the_application_sets_wins_wherever_it_sets_it(application: str) -> None:
    assert effective("late", application)[1] is False


def test_an_application_in_old_setting_names_gets_the_safe_values_too() -> None:
    application = "app.config_from_object({'CELERY_DEFAULT_QUEUE': 'x'})"
    assert effective("late", application)[:2] == [[1, 1, 1, 1, 1], True]


@pytest.mark.parametrize(
    ("application", "multiplier"),
    [("app.conf.worker_prefetch_multiplier = 8", None), ("", 8)],
    ids=["in the application", "on the command line"],
)
def test_a_chosen_prefetch_is_not_undone(application: str, multiplier: int | None) -> None:
    settings, *_, by_agent = effective("late", application, multiplier)
    assert settings[3] == 0
    assert not by_agent


def test_prefetch_that_the_application_itself_disabled_stays_disabled() -> None:
    application = "app.conf.update(worker_prefetch_multiplier=8, worker_disable_prefetch=True)"
    assert effective("late", application)[0][2:4] == [8, 1]


OLDER = "import celery; celery.VERSION = (5, 6, 0, '', '')"


@pytest.mark.parametrize(
    ("application", "pool", "by_celery", "by_agent"),
    [
        ("", "gevent", 1, False),
        (OLDER, "prefork", 1, False),
        (OLDER, "celery.concurrency.gevent", 0, True),
        (OLDER + "; app.conf.worker_prefetch_multiplier = 8", "gevent", 0, False),
        (OLDER + "; app.conf.worker_disable_prefetch = False", "gevent", 0, False),
    ],
    ids=["5.7 green", "5.6 prefork", "5.6 green", "5.6 green, chosen", "5.6 green, refused"],
)
def test_where_celery_cannot_do_without_prefetch_the_agent_does(
    application: str, pool: str, by_celery: int, by_agent: bool
) -> None:
    settings, *_, agent = effective("late", application, pool=pool)
    assert (settings[3], agent) == (by_celery, by_agent)
