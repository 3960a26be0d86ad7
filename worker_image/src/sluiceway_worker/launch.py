"""What has to happen in a process before Celery's own command line starts a worker in it.

``sluiceway-worker`` uses it, and whatever else starts the user's Celery with the agent.
"""

from __future__ import annotations

import os
from typing import Any

from celery.signals import celeryd_init
from celery.utils.log import get_logger

from sluiceway_worker import behind_sentinel, safe_settings

logger = get_logger(__name__)


def prepare(acks: str) -> None:
    """Change Celery's defaults now, and give the worker its agent when it comes to be.

    Args:
        acks: ``late``, ``early`` or ``app``: who decides on acknowledgement.

    Call it before the application is imported: tasks read their settings when they are made.
    """
    safe_settings.apply(safe_settings.Acks(acks))
    behind_sentinel.settle_addresses(os.environ)
    celeryd_init.connect(_on_worker, weak=False, dispatch_uid="sluiceway-launch")


def _on_worker(instance: Any = None, conf: Any = None, options: Any = None, **_: Any) -> None:
    try:
        behind_sentinel.name_the_server(conf, os.environ)
        # Celery's worker modules read the environment when they are imported, and the
        # application may set it: so not before.
        from sluiceway_worker import agent

        given = options or {}
        pool = given.get("pool") or given.get("pool_cls") or conf.worker_pool
        by_agent = safe_settings.settle_prefetch(conf, given.get("prefetch_multiplier"), pool)
        agent.install(instance.app, free_slots_only=by_agent)
    except Exception:
        logger.exception("Sluiceway's agent cannot start; the worker starts without it")
