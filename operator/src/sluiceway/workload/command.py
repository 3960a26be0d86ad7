"""The command of a worker's container, in place of the image's own."""

from __future__ import annotations

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.workload.agent import LAUNCHER


def command(taskqueue: TaskQueue, slots: int) -> list[str]:
    """The worker container's ``command``.

    Args:
        slots: how many tasks it runs at a time.
    """
    worker = taskqueue.spec.worker
    app = ["-A", literal(str(worker.app))]
    python = worker.python or "python"
    options = ["-Q", literal(",".join(taskqueue.queues)), "-P", worker.pool, "-c", str(slots)]
    if worker.agent == "inject":
        program = [python, LAUNCHER, *app, "worker"]
    elif worker.agent == "image":
        program = [python, "-m", "sluiceway_worker", *app]
    elif worker.python is not None:
        program = [python, "-m", "celery", *app, "worker"]
    else:
        program = ["celery", *app, "worker"]
    return [*worker.entrypoint, *program, *options]


def literal(text: str) -> str:
    """Text in a command or a variable in which Kubernetes shall replace no ``$(NAME)``."""
    return text.replace("$", "$$")
