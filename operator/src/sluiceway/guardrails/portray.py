"""Loads a Celery application as ``celery -A`` does, and writes what it is set to as JSON.

It is run by its path in the application's own Python, which need not have anything of
Sluiceway's: it needs Celery, and the language of Python 3.9. No password leaves it: of
addresses only the scheme is told.

    python portray.py APP FILE       # FILE gets the JSON; what the application prints stays apart
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

SETTINGS = (
    "accept_content",
    "broker_transport_options",
    "result_accept_content",
    "result_expires",
    "result_serializer",
    "task_acks_late",
    "task_always_eager",
    "task_ignore_result",
    "task_reject_on_worker_lost",
    "task_serializer",
    "task_soft_time_limit",
    "task_time_limit",
    "worker_prefetch_multiplier",
)
"""The settings that the rules look at, by Celery's names of today."""

_OF_A_TASK = (
    "acks_late",
    "default_retry_delay",
    "ignore_result",
    "max_retries",
    "reject_on_worker_lost",
    "retry_backoff",
    "retry_backoff_max",
    "serializer",
    "soft_time_limit",
    "time_limit",
)


def portray(name: str) -> dict[str, Any]:
    """What the application called ``name`` is set to, and its tasks."""
    import celery
    from celery.app.utils import find_app

    app = find_app(name)
    app.loader.import_default_modules()
    app.finalize(auto=True)
    return {
        "celery": celery.__version__,
        "main": _file_of_module(app, name),
        "settings": {key: _plain(app.conf.get(key)) for key in SETTINGS},
        "given": [key for key in SETTINGS if _given(app.conf, key)],
        "broker": _scheme(app.conf.broker_read_url) if _broker_given(app.conf) else None,
        "backend": _scheme(app.conf.result_backend),
        "tasks": [
            _task(app, task)
            for name, task in sorted(app.tasks.items())
            if not name.startswith("celery.")
        ],
        "schedule": [
            [str(entry), str(dict(given).get("task"))]
            for entry, given in (app.conf.beat_schedule or {}).items()
        ],
    }


def _broker_given(conf: Any) -> bool:
    """Otherwise the workers' environment brings it, or Celery's own default holds."""
    named = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL")
    return _given(conf, "broker_url") or any(os.environ.get(name) for name in named)


def _given(conf: Any, key: str) -> bool:
    """Whether the application sets it, under whatever name: Celery's defaults lie last."""
    try:
        return key in type(conf)({}, conf.maps[:-1], conf._keys, conf.prefix)
    except (AttributeError, TypeError):
        return bool(conf.value_set_for(key))


def _task(app: Any, task: Any) -> dict[str, Any]:
    run = inspect.unwrap(getattr(task, "_orig_run", None) or task.run)
    code = getattr(getattr(run, "__func__", run), "__code__", None)
    return {
        "name": task.name,
        "function": getattr(run, "__name__", task.name.rpartition(".")[2]),
        "file": str(Path(code.co_filename).resolve()) if code else None,
        "line": code.co_firstlineno if code else 1,
        "queue": _queue(app, task),
        "autoretry_for": [one.__name__ for one in getattr(task, "autoretry_for", None) or ()],
        "pydantic": bool(getattr(task, "pydantic", False)),
        **{option: _plain(getattr(task, option, None)) for option in _OF_A_TASK},
    }


def _queue(app: Any, task: Any) -> str | None:
    try:
        route = app.amqp.router.route(dict(task._get_exec_options()), task.name, (), {}, task)
        return str(getattr(route["queue"], "name", route["queue"]))
    except Exception:
        return None  # a router of the application's own that cannot be asked like this


def _file_of_module(app: Any, name: str) -> str | None:
    for module in (name.partition(":")[0], name.rpartition(".")[0], app.main):
        found = getattr(sys.modules.get(str(module)), "__file__", None)
        if found:
            return str(Path(found).resolve())
    return None


def _scheme(url: Any) -> str | None:
    url = url[0] if isinstance(url, (list, tuple)) and url else url
    return str(url).partition(":")[0] if url else None


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if "password" not in str(key)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(type(value))


def _is_missing(name: str, error: Exception) -> bool:
    """Whether the very module that was asked for, or a package above it, is not there."""
    module = name.split(":")[0]
    return isinstance(error, ModuleNotFoundError) and (
        error.name == module or module.startswith(f"{error.name}.")
    )


def _where(error: Exception) -> str | None:
    """The last line of the application on the way to the error; None where it has none."""
    frames = traceback.extract_tb(error.__traceback__)
    files = [one for one in frames if not one.filename.startswith("<")]
    files = [one for one in files if one.filename != __file__]
    here = [one for one in files if Path.cwd() in Path(one.filename).parents]
    found = (here or files)[-1:]
    return f"{found[0].filename}:{found[0].lineno}" if found else None


def _hint(error: Exception) -> str:
    """What to do where the environment lacks what the application reads from it."""
    asked = traceback.extract_tb(error.__traceback__)[-1]
    if type(error) is KeyError and Path(asked.filename).stem in ("os", "<frozen os>"):
        return ", which the environment lacks: set it as the workers have it"
    return ""


def main(name: str, file: str) -> int:
    """Write the portrait, or why there is none; the exit code."""
    # As `python -m celery` has it: the folder that it is called in comes first.
    sys.path[0] = str(Path.cwd())
    try:
        told = portray(name)
    except Exception as error:
        told = {
            "error": f"{type(error).__name__}: {error}" + _hint(error),
            "where": None if _is_missing(name, error) else _where(error),
            "missing": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        }
    Path(file).write_text(json.dumps(told), encoding="utf-8")
    return 1 if "error" in told else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
