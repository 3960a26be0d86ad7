"""Which broker a TaskQueue is on when it runs on one machine."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.brokers import EMBEDDED, choose_brokers

OWN = {"url": "redis://redis:6379/0"}
FROM_ENV = {"urlFrom": {"env": "CELERY_BROKER_URL"}}
FROM_SECRET = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
SET = {"CELERY_BROKER_URL": "redis://localhost:6379/3"}
GIVEN = {"given": "redis://given:6379/0"}


@pytest.mark.parametrize(
    ("broker", "env", "options", "url"),
    [
        pytest.param(OWN, {}, {}, "redis://redis:6379/0", id="its own address"),
        pytest.param(
            {"url": "sentinel://s/0", "masterName": "m m"},
            {},
            {},
            "sentinel://s/0?master_name=m%20m",
            id="its own address, with the name under which Sentinels know it",
        ),
        pytest.param({}, {}, {}, EMBEDDED, id="none: one is brought along"),
        pytest.param(
            {}, SET, {}, EMBEDDED, id="a variable that the spec does not name is not read"
        ),
        pytest.param(FROM_ENV, SET, {}, "redis://localhost:6379/3", id="the variable it names"),
        pytest.param(FROM_ENV, {}, {}, EMBEDDED, id="a variable that is not set"),
        pytest.param(FROM_SECRET, {}, {}, EMBEDDED, id="a Secret needs a cluster"),
        pytest.param(OWN, {}, GIVEN, "redis://given:6379/0", id="what is given wins"),
        pytest.param(OWN, {}, {"embedded": True}, EMBEDDED, id="embedded wins over its own"),
    ],
)
def test_the_broker_of_a_taskqueue_is(
    broker: dict[str, Any], env: dict[str, str], options: dict[str, Any], url: str | None
) -> None:
    taskqueue = TaskQueue.from_outside(
        {"metadata": {"name": "q"}, "spec": {"worker": {"app": "tasks"}, "broker": broker}}
    )

    assert choose_brokers([taskqueue], env=env, **options) == {"default/q": url}
