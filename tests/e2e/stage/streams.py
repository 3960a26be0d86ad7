"""kubectl commands that run on: a port that is forwarded, objects that are watched."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testcluster.kubectl import Kubectl

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One line of a watch."""

    at: float
    """When it was read, on the monotonic clock."""
    fields: tuple[str, ...]


class Watch:
    """Every state of some objects since the start, in the order in which they were seen."""

    def __init__(self) -> None:
        self._lines: list[Seen] = []
        self._news = threading.Condition()

    @property
    def seen(self) -> list[Seen]:
        """All so far."""
        with self._news:
            return list(self._lines)

    def column(self, number: int) -> list[str]:
        """One field of all lines so far."""
        return [line.fields[number] for line in self.seen]

    def wait(self, found: Callable[[list[Seen]], bool], *, that: str, hangs_s: float = 150) -> None:
        """Return as soon as what was seen is so; asked whenever a line comes."""
        with self._news:
            came = self._news.wait_for(lambda: found(self._lines), hangs_s)
            assert came, f"{that}: not within {hangs_s:.0f} s (last: {self._lines[-3:]})"

    def note(self, line: str) -> None:
        """One more line of the watch."""
        with self._news:
            self._lines.append(Seen(at=time.monotonic(), fields=tuple(line.split("|"))))
            self._news.notify_all()


@contextmanager
def watched(kubectl: Kubectl, kind: str, *paths: str, which: str = "") -> Iterator[Watch]:
    """Watch objects of a kind, deleted ones included, from now on.

    Args:
        paths: of the fields that are kept, such as ``.spec.replicas``.
        which: a name, or ``--selector=…``; all of the namespace otherwise.
    """
    template = "{'|'}".join(f"{{{path}}}" for path in paths) + "{'\\n'}"
    command = ["get", kind, *([which] if which else []), "--watch", f"--output=jsonpath={template}"]
    watch = Watch()
    with _running(kubectl, *command, errors=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")

        def read() -> None:
            for line in lines:
                watch.note(line.rstrip("\n"))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield watch
    reader.join(timeout=10)


@contextmanager
def forwarded(kubectl: Kubectl, target: str, port: int) -> Iterator[int]:
    """A port of this machine that leads to a pod's or a Service's."""
    command = ("port-forward", target, f":{port}")
    with _running(kubectl, *command, errors=subprocess.STDOUT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = _FORWARDING.search(line)
        assert found is not None, f"kubectl port-forward {target}: {line or 'it ended'}"
        # Read on, or it would stop when the pipe is full.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield int(found[1])


@contextmanager
def _running(kubectl: Kubectl, *arguments: str, errors: int) -> Iterator[subprocess.Popen[str]]:
    place = ["--namespace", kubectl.namespace] if kubectl.namespace is not None else []
    process = subprocess.Popen(
        [kubectl.program, *place, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | {"KUBECONFIG": str(kubectl.kubeconfig), "KUBERC": "off"},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
