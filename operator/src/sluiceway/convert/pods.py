"""What a Deployment of Celery workers says of itself: queues, slots, time to leave."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sluiceway.api.worker import GRACE_MARGIN_S
from sluiceway.convert.result import Draft, Object, seconds

BROKER_VARIABLES = ("CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "REDIS_URL")
"""Variables in which applications usually read the broker's address, the surest first."""

_KUBERNETES_GRACE_S = 30
_POOLS = ("prefork", "solo", "threads", "gevent")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What is on the command line of ``celery worker``; None where it is not."""

    queues: tuple[str, ...] | None = None
    concurrency: int | None = None
    pool: str | None = None


def command_of(container: Object) -> Command:
    """Read a container's command and args, also where a shell runs them."""
    words = list(_words([*(container.get("command") or ()), *(container.get("args") or ())]))
    for start in ("worker", "sluiceway-worker"):
        if start in words:
            # What comes before is not Celery's, such as the -c of a shell.
            words = words[words.index(start) + 1 :]
    queues = _option(words, "-Q", "--queues")
    concurrency = _option(words, "-c", "--concurrency")
    pool = _option(words, "-P", "--pool")
    return Command(
        queues=tuple(queues.split(",")) if queues else None,
        concurrency=int(concurrency) if concurrency and concurrency.isdigit() else None,
        pool=pool if pool in _POOLS else None,
    )


def describe_workers(draft: Draft, deployment: Object | None, name: str) -> None:
    """Write ``spec.worker``, and the broker's address where the pods have it."""
    worker = draft.spec.setdefault("worker", {})
    worker["deploymentRef"] = {"name": name}
    if deployment is None:
        draft.say(
            f"the Deployment {name} was not among the files: concurrency, pool and longestTask "
            "are left at their defaults; give it with a further -f, or write them"
        )
        return
    spec = deployment.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    container = worker_container(pod)
    command = command_of(container)
    if command.pool is not None and command.pool != "prefork":
        worker["pool"] = command.pool
    if command.concurrency is not None:
        worker["concurrency"] = command.concurrency
    _serve(draft, name, command.queues or ())
    grace = pod.get("terminationGracePeriodSeconds", _KUBERNETES_GRACE_S)
    if grace > GRACE_MARGIN_S:
        worker["longestTask"] = seconds(grace - GRACE_MARGIN_S)
    else:
        worker["longestTask"] = seconds(grace)
        draft.say(
            f"pods of {name} are ended by force {grace} s after they were told to go: raise "
            "terminationGracePeriodSeconds of the Deployment above the longest task, and "
            "worker.longestTask with it"
        )
    if "replicas" in spec:
        draft.say(
            f"remove spec.replicas from the manifest of the Deployment {name}: each apply of it "
            "would undo the scaling"
        )


def _serve(draft: Draft, name: str, queues: tuple[str, ...]) -> None:
    """All queues that the pods take from: work of each of them needs workers."""
    watched = draft.spec.get("queues") or []
    unwatched = [queue for queue in queues if queue not in watched]
    if watched and unwatched:
        draft.say(
            f"the pods of {name} also take from {', '.join(unwatched)} (-Q), which nothing looked "
            "at so far: a TaskQueue counts all its queues, so it is listed"
        )
    if watched or unwatched:
        draft.spec["queues"] = [*watched, *unwatched]


def broker_variable(deployment: Object | None) -> str | None:
    """The variable in which the pods are given the broker's address."""
    if deployment is None:
        return None
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    given = {str(one.get("name")) for one in worker_container(pod).get("env") or ()}
    return next((name for name in BROKER_VARIABLES if name in given), None)


def worker_container(pod: Object) -> Object:
    """The container that runs Celery; the first where that cannot be told."""
    containers = pod.get("containers") or [{}]
    for one in containers:
        text = " ".join(map(str, [*(one.get("command") or ()), *(one.get("args") or ())]))
        if "celery" in text or "worker" in text:
            return dict(one)
    return dict(containers[0])


def _words(parts: list[Any]) -> Iterator[str]:
    for part in map(str, parts):
        if re.search(r"\s", part):
            try:
                yield from shlex.split(part)
            except ValueError:
                yield from part.split()
        else:
            yield part


def _option(words: list[str], short: str, long: str) -> str | None:
    for index, word in enumerate(words):
        if word in (short, long):
            return words[index + 1] if index + 1 < len(words) else None
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
        if word.startswith(short) and len(word) > len(short) and not word.startswith("--"):
            return word[len(short) :]
    return None
