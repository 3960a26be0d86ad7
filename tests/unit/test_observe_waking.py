"""How many brokers may hold a connection open to wake, and what becomes of the others."""

from __future__ import annotations

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.observe import Watched
from sluiceway.observe.waking import Places, Waking

LONG_S = 60.0


def on_a_broker(name: str, database: int) -> Watched:
    """A fleet whose broker nobody listens for."""
    spec = {"worker": {"app": "tasks"}}
    taskqueue = TaskQueue.from_outside({"metadata": {"name": name}, "spec": spec})
    return Watched.of(taskqueue, f"redis+socket:///nowhere/redis.sock?virtual_host={database}")


async def test_a_broker_without_a_place_is_asked_again_and_again_and_told_so() -> None:
    waking = Waking(places=Places(0))
    video = on_a_broker("video", 0)

    await waking.arm([video], acting={video.key})

    assert "--waking-connections" in (waking.problem(video) or "")
    assert await waking.wait(LONG_S) == {video.key}


async def test_the_place_of_a_broker_that_is_left_is_given_to_another() -> None:
    waking = Waking(places=Places(1))
    video, mail = on_a_broker("video", 0), on_a_broker("mail", 1)
    try:
        await waking.arm([video], acting={video.key})
        await waking.arm([mail], acting={mail.key})
        assert "--waking-connections" not in (waking.problem(video) or "")
        assert "--waking-connections" in (waking.problem(mail) or "")

        waking.drop(video.key)
        await waking.arm([], acting=())
        await waking.arm([mail], acting={mail.key})

        assert "--waking-connections" not in (waking.problem(mail) or "")
    finally:
        await waking.close()
