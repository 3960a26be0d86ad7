"""How `sluiceway top` shows a cluster: once, or for as long as it runs; a table or lines.

Each raises a ``KubeError`` where the cluster does not let us in. What breaks later is
part of what is shown: the watch mends itself.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from sluiceway.cli.output import complain, to_json
from sluiceway.cli.top_table import draw, line
from sluiceway.kube.client import KubeClient
from sluiceway.kube.store import Changed
from sluiceway.kube.taskqueues import TASKQUEUES, TaskQueueSeen, list_taskqueues
from sluiceway.kube.watch import Watch
from sluiceway.report.words import clock_time, seconds

_AT_MOST_EVERY_S = 0.25
_AT_LEAST_EVERY_S = 1.0


async def show_lines(client: KubeClient, *, namespace: str | None, as_json: bool) -> None:
    """A line for each TaskQueue."""
    for one in await _list(client, namespace):
        print(_json(one) if as_json else line(one))


async def show_table(client: KubeClient, *, namespace: str | None) -> None:
    """All of them, however many lines that needs."""
    if found := await _list(client, namespace):
        console = Console()
        view = draw(
            found,
            title=_title(client, namespace),
            with_namespace=namespace is None,
            width=console.width,
            height=None,
            last=Text(_count(len(found)), style="dim"),
        )
        console.print(view)


async def follow_lines(client: KubeClient, *, namespace: str | None, as_json: bool) -> None:
    """A line for each TaskQueue, and again whenever what it shows changes."""
    shown: dict[str, str] = {}

    def changed(before: TaskQueueSeen | None, now: TaskQueueSeen | None) -> None:
        if now is None:
            assert before is not None
            key = before.metadata.key
            shown.pop(key, None)
            text = _json(before, deleted=True) if as_json else f"{key}: deleted"
        else:
            key = now.metadata.key
            text = _json(now) if as_json else line(now)
            if shown.get(key) == text:
                return  # something else of it has changed
            shown[key] = text
        # A program that reads us is to have each line when it is written.
        print(text if as_json else f"{clock_time(time.time())} {text}", flush=True)

    watch = await _watch(client, namespace, changed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.run())
        told: str | None = None
        while True:
            if watch.problem is not None and watch.problem != told:
                complain(watch.problem)
            told = watch.problem
            await asyncio.sleep(_AT_LEAST_EVERY_S)


async def follow_table(client: KubeClient, *, namespace: str | None) -> None:
    """A table that is drawn anew in place."""
    news = asyncio.Event()
    watch = await _watch(client, namespace, lambda before, now: news.set())
    console = Console()

    def view() -> RenderableType:
        return draw(
            watch.objects.values(),
            title=_title(client, namespace),
            with_namespace=namespace is None,
            width=console.width,
            height=console.height,
            last=_last_line(watch),
        )

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run())
            while True:
                news.clear()
                live.update(view(), refresh=True)
                # Not for each of a hundred changes at once.
                await asyncio.sleep(_AT_MOST_EVERY_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AT_LEAST_EVERY_S):
                        await news.wait()


async def _list(client: KubeClient, namespace: str | None) -> list[TaskQueueSeen]:
    found = await list_taskqueues(client, namespace)
    if not found:
        complain(f"no TaskQueue in {f'namespace {namespace}' if namespace else 'any namespace'}")
    return found


async def _watch(
    client: KubeClient, namespace: str | None, changed: Changed[TaskQueueSeen]
) -> Watch[TaskQueueSeen]:
    """A watch that will be let in: it would try again for ever."""
    await client.request("GET", TASKQUEUES.path(namespace), query={"limit": "1"})
    return Watch(client, TASKQUEUES, changed=changed, namespaces=[namespace] if namespace else ())


def _last_line(watch: Watch[TaskQueueSeen]) -> Text:
    since = watch.stale_since
    if since is None:
        return Text(f"{_count(len(watch.objects))}    Ctrl-C ends", style="dim")
    if not watch.synced and watch.problem is None:
        return Text("reading …", style="dim")
    age = seconds(time.monotonic() - since)
    return Text(f"{age} old: {watch.problem or 'nothing is heard'}", style="yellow")


def _count(taskqueues: int) -> str:
    return "1 TaskQueue" if taskqueues == 1 else f"{taskqueues} TaskQueues"


def _json(one: TaskQueueSeen, *, deleted: bool = False) -> str:
    who = {"namespace": one.metadata.namespace, "name": one.metadata.name}
    if deleted:
        return to_json({**who, "deleted": True})
    return to_json({**who, "status": msgspec.to_builtins(one.status)})


def _title(client: KubeClient, namespace: str | None) -> str:
    return f"{client.server}, {f'namespace {namespace}' if namespace else 'all namespaces'}"
