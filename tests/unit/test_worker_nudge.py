"""What is taken between two waits of the event loop is not left lying until the next is over."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kombu.asynchronous import Hub

from sluiceway_worker.transport import Poller


@dataclass
class Takes:
    """Finds one message, and then none."""

    over: bool = False
    let_go: bool = False
    found: list[int] = field(default_factory=lambda: [1])

    def turn(self, *, loops: bool) -> int:
        assert loops
        return self.found.pop() if self.found else 0


@dataclass(eq=False)
class Channel:
    """As much of one as a poller looks at."""

    taking: Takes = field(default_factory=Takes)
    active_queues: tuple[str, ...] = ()
    active_fanout_queues: tuple[str, ...] = ()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """One of kombu's, which listens to what says nothing."""
    hub = Hub()
    quiet, other = socket.socketpair()
    with quiet, other:
        hub.add_reader(quiet.fileno(), lambda: None)
        yield hub
        hub.close()


def poller_in(hub: Hub) -> Poller:
    poller = Poller()
    poller._channels.add(Channel())
    poller.turn_in(hub)
    hub.on_tick.add(poller.on_poll_start)
    return poller


def test_the_loop_turns_again_at_once_so_that_the_pool_sees_what_was_taken(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Any] = []
    poll = hub.poller.poll
    monkeypatch.setattr(
        hub.poller, "poll", lambda timeout: waits.append(poll(timeout)) or waits[-1]
    )
    poller = poller_in(hub)
    loop = hub.create_loop()
    next(loop)
    next(loop)
    assert waits[0], "it rested with a message in its hands"
    assert not waits[1], "it was nudged for nothing"
    poller.close()


def test_who_closed_it_leaves_nothing_in_the_loop(hub: Hub) -> None:
    before = set(hub.readers)
    poller = poller_in(hub)
    next(hub.create_loop())
    poller.close()
    poller.close()
    assert set(hub.readers) - before == set()
