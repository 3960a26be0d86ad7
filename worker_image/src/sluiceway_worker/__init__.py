"""What runs inside a Celery worker: heartbeat, publish stamp, drain by lease.

Two calls, both safe to repeat::

    sluiceway_worker.stamp()        # where tasks are published (the web processes)
    sluiceway_worker.install(app)   # in a worker that is started without sluiceway-worker

``sluiceway-worker -A app`` does both. Celery is imported only when one of them is
called: the operator reads ``sluiceway_worker.wire`` and needs no Celery for it.
"""

from __future__ import annotations

from typing import Any


def stamp() -> None:
    """From now on, every task that this process publishes carries its time of publishing.

    One line, anywhere that is imported before tasks are published, such as next to
    the Celery app of a web application. It lets the operator see how long the
    oldest task really waits; without it that age is a lower bound. And a broker that
    has become a replica is left for its primary, where kombu would be refused for ever.
    """
    from sluiceway_worker.publish import connect

    connect()


def install(app: Any) -> None:
    """Give the Celery ``app``'s worker its agent: heartbeat, stamp and drain.

    Call it before the worker starts. It fails open: whatever goes wrong inside the
    agent is logged once, and the worker works on as plain Celery.
    """
    from sluiceway_worker.agent import install as install_agent

    install_agent(app)
