"""What is known of a Celery application: its settings and its tasks, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

CELERYS_VISIBILITY_TIMEOUT_S = 3600.0
CELERYS_BACKOFF_MAX_S = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One registered task; times in seconds, None where it does not say."""

    name: str
    function: str
    """The name of its function or class in the code, as callers write it."""
    file: Path | None
    line: int
    """Of its first decorator."""
    queue: str | None
    autoretry_for: tuple[str, ...] = ()
    """Names of the exceptions after which it is tried again by itself."""
    pydantic: bool = False
    acks_late: bool = False
    default_retry_delay: float | None = None
    ignore_result: bool = False
    max_retries: int | None = 3
    reject_on_worker_lost: bool | None = None
    retry_backoff: bool | float | None = None
    retry_backoff_max: float | None = None
    serializer: str | None = None
    soft_time_limit: float | None = None
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """The application as Celery would run it."""

    name: str
    """As given to ``-A``."""
    main: Path | None
    """The file of its module."""
    celery: str
    settings: Mapping[str, Any]
    given: frozenset[str]
    """Names of the settings that the application sets itself."""
    broker: str | None
    """Scheme of the broker's address; None where the application leaves it to Celery."""
    backend: str | None
    """Scheme of the result backend's address; None without one."""
    tasks: tuple[Task, ...]
    schedule: tuple[tuple[str, str], ...] = ()
    """(entry, task's name) of Beat's schedule."""

    @property
    def transport(self) -> Mapping[str, Any]:
        """``broker_transport_options``."""
        found = self.settings.get("broker_transport_options")
        return found if isinstance(found, Mapping) else {}

    @property
    def visibility_timeout_s(self) -> float:
        """Seconds until a message that was not acknowledged is delivered again."""
        return float(self.transport.get("visibility_timeout") or CELERYS_VISIBILITY_TIMEOUT_S)

    def limit_of(self, task: Task) -> float | None:
        """The longest that a task may run, in seconds: the hard limit, else the soft one."""
        return (
            task.time_limit
            or self.settings.get("task_time_limit")
            or task.soft_time_limit
            or self.settings.get("task_soft_time_limit")
        )

    @classmethod
    def from_portrait(cls, name: str, told: Mapping[str, Any]) -> Self:
        """From what ``portray`` wrote."""
        known = {field.name for field in fields(Task)}
        tasks = tuple(
            Task(
                **{key: _frozen(item) for key, item in task.items() if key in known}
                | {"file": Path(task["file"]) if task["file"] else None}
            )
            for task in told["tasks"]
        )
        return cls(
            name=name,
            main=Path(told["main"]) if told["main"] else None,
            celery=told["celery"],
            settings=told["settings"],
            given=frozenset(told["given"]),
            broker=told["broker"],
            backend=None if told["backend"] == "disabled" else told["backend"],
            tasks=tasks,
            schedule=tuple((entry, task) for entry, task in told["schedule"]),
        )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
