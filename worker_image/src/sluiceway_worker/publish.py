"""The publish stamp: when a message was put into its queue, said by the message itself.

A Celery message on Redis has no time of its own, so nobody can tell how long the
oldest one has waited. The stamp is one header, Unix seconds as a float, written on
Celery's ``before_task_publish``; that signal passes for each publish, so a retry, a
link of a chain and a chord's callback get a stamp of their own, and an old one that
came along in the headers is overwritten. What is told there of deaths is of the message
that was, and does not come along.
"""

from __future__ import annotations

from contextlib import suppress
from time import time
from typing import Any

from celery.signals import before_task_publish

from sluiceway_worker.wire import DEATHS_HEADER, FORGIVEN_HEADER, STAMP_HEADER, SUSPECT_HEADER


def connect() -> None:
    """Stamp every task that this process, or a child it forks, publishes from now on.

    And let it publish to whoever leads, where the broker's address leads elsewhere by then.
    """
    before_task_publish.connect(write_stamp, weak=False)
    # A process that publishes elsewhere need not have redis-py.
    with suppress(ImportError):
        from sluiceway_worker.attentive import leave_replicas

        leave_replicas()


def write_stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Receiver of ``before_task_publish``; ``headers`` are the message's own, not the caller's."""
    if headers is not None:
        headers[STAMP_HEADER] = time()
        for told in (DEATHS_HEADER, FORGIVEN_HEADER, SUSPECT_HEADER):
            headers.pop(told, None)
