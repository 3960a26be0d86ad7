"""Has an application portrayed by its own Python, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from sluiceway.guardrails import portray
from sluiceway.guardrails.facts import App


class LoadError(Exception):
    """The application cannot be loaded; one sentence says where and why."""


class NoCeleryError(LoadError):
    """The Python that was named has no Celery."""


def load_app(name: str, *, python: str | None = None, workdir: Path | None = None) -> App:
    """Load the application as ``celery -A name`` does.

    Args:
        python: the interpreter that has the application; by default this one.
        workdir: the folder from which it is imported; by default the present one.

    Raises:
        NoCeleryError: that Python has no Celery, or cannot be started.
        LoadError: importing the application fails.
    """
    with tempfile.TemporaryDirectory(prefix="sluiceway-check-") as folder:
        file = Path(folder) / "portrait.json"
        argv = [python or sys.executable, str(portray.__file__), name, str(file)]
        try:
            ended = subprocess.run(argv, cwd=workdir, capture_output=True, text=True, check=False)
        except OSError as error:
            raise NoCeleryError(f"--python {argv[0]}: {error.strerror}") from error
        if not file.exists():
            last = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
            raise LoadError(
                f"-A {name}: loading it ended with exit code {ended.returncode}"
                + "".join(f": {line}" for line in last)
            )
        told = json.loads(file.read_text(encoding="utf-8"))
    if "error" not in told:
        return App.from_portrait(name, told)
    if told["missing"] == "celery":
        raise NoCeleryError(
            f"-A {name}: {argv[0]} has no Celery: name the application's own interpreter "
            "with --python"
        )
    place = f" ({told['where']})" if told["where"] else "; are the name and --workdir right?"
    raise LoadError(f"-A {name}: cannot be loaded: {told['error']}{place}")
