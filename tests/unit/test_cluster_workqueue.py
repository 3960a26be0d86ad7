"""A key that changes is looked at again, once, and by one worker at a time."""

from __future__ import annotations

import asyncio

import pytest

from sluiceway.cluster.workqueue import WorkQueue


async def nothing_waits(queue: WorkQueue) -> bool:
    try:
        async with asyncio.timeout(0):
            await queue.take()
    except TimeoutError:
        return True
    return False


async def test_a_key_that_is_added_while_it_waits_waits_once() -> None:
    queue = WorkQueue()
    queue.add(["a", "b"])
    queue.add(["a"])
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert await nothing_waits(queue)


async def test_a_key_that_changes_while_somebody_works_on_it_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add(["a"])
    key = await queue.take()
    queue.add(["a"])
    assert await nothing_waits(queue), "two would work on it at once"
    queue.done(key)
    assert await queue.take() == "a"


async def test_a_key_that_is_done_does_not_come_again() -> None:
    queue = WorkQueue()
    queue.add(["a"])
    queue.done(await queue.take())
    assert await nothing_waits(queue)


@pytest.mark.parametrize("workers", [1, 3])
async def test_every_change_is_seen_by_somebody_after_it(workers: int) -> None:
    queue = WorkQueue()
    current, seen = 0, -1

    async def work() -> None:
        nonlocal seen
        while True:
            key = await queue.take()
            before = current
            await asyncio.sleep(0)
            seen = max(seen, before)
            queue.done(key)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for _ in range(20):
        current += 1
        queue.add(["a"])
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert seen == current
