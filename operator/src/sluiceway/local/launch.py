"""From a TaskQueue to the command line and environment of one worker process.

Pure: what is read from the machine (the environment, the interpreter) is passed in.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sluiceway_worker
from sluiceway.api.taskqueue import TaskQueue
from sluiceway_worker import wire

_BROUGHT_ALONG = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from sluiceway_worker.__main__ import main; sys.exit(main())"
)
"""Another interpreter need not have sluiceway_worker installed: it is appended to
its path, after everything of its own, as the agent is in a cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How to start the workers of one fleet."""

    fleet: str
    argv: tuple[str, ...]
    """Without the worker's own name, which ``argv_for`` adds."""
    env: Mapping[str, str]
    cwd: Path | None
    grace_s: float
    """From SIGTERM until it is ended by force."""

    def argv_for(self, name: str) -> list[str]:
        """The command line of the worker with this name."""
        return [*self.argv, "-n", f"{name}@%h"]

    def env_for(self, name: str) -> dict[str, str]:
        """The environment of the worker with this name."""
        return {**self.env, wire.ENV_FLEET: self.fleet, wire.ENV_NAME: name}


def launch_of(
    taskqueue: TaskQueue,
    *,
    broker_url: str,
    env: Mapping[str, str],
    python: str = sys.executable,
    workdir: Path | None = None,
    agent_path: Path | None = None,
) -> Launch:
    """How the workers of ``taskqueue`` are started on this machine.

    The broker goes through the environment, never the command line, where every
    user of the machine could read its password. Celery prefers these variables
    to what the application sets (celery.app.utils.Settings), so that workers and
    the reader of the queues are always on the same broker.

    Args:
        env: what the workers inherit; the template's own literals lie over it.
        python: the interpreter that has the application.
        agent_path: a folder that holds sluiceway_worker and nothing else, for an
            interpreter that need not have it; None where it is installed.
    """
    worker = taskqueue.spec.worker
    program = (
        [python, "-m", "sluiceway_worker"]
        if agent_path is None
        else [python, "-c", _BROUGHT_ALONG, str(agent_path)]
    )
    argv = [*program, "-A", str(worker.app), "-Q", ",".join(taskqueue.queues), "-P", worker.pool]
    if worker.concurrency is not None:
        argv += ["-c", str(worker.concurrency)]
    settings = {
        "CELERY_BROKER_URL": broker_url,
        "CELERY_BROKER_READ_URL": broker_url,
        "CELERY_BROKER_WRITE_URL": broker_url,
        "PYTHONUNBUFFERED": "1",
        wire.ENV_ACKS: worker.acks_in_force,
        wire.ENV_MAX_DELIVERIES: str(worker.max_deliveries),
    }
    return Launch(
        fleet=taskqueue.key,
        argv=tuple(argv),
        env={**env, **_template_env(worker.template), **settings},
        cwd=workdir,
        grace_s=worker.grace_s,
    )


def link_agent(folder: Path) -> Path:
    """A folder that holds sluiceway_worker and nothing else, made in ``folder``."""
    place = folder / "agent"
    place.mkdir(parents=True, exist_ok=True)
    link = place / "sluiceway_worker"
    if not link.exists():
        link.symlink_to(Path(sluiceway_worker.__path__[0]).resolve(), target_is_directory=True)
    return place


def _template_env(template: Mapping[str, Any]) -> dict[str, str]:
    """The literal variables of the template's containers; references need a cluster."""
    # An empty member of YAML is a null, and says nothing.
    containers = (template.get("spec") or {}).get("containers") or ()
    return {
        item["name"]: str(item["value"])
        for container in containers
        if container.get("name", "worker") == "worker"
        for item in container.get("env") or ()
        if item.get("value") is not None
    }
