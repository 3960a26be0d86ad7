"""One world to explore: how large it is, what may happen in it, and by which rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from protocol.rules import Rules
from protocol.state import Memory, Message, Mishaps, Operator, State, Worker

Move = tuple[str, State]
"""A sentence that says what happened, and the state after it."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What an exploration starts from. Off and zero by default: a world shows one idea."""

    take: Literal["kombu", "atomic"]
    """kombu's own BRPOP and MULTI, or the one script that takes."""
    messages: tuple[Message, ...] = (Message(), Message())
    workers: int = 2
    slots: int = 1
    luck: Mishaps = field(default_factory=Mishaps)
    operators: int = 1
    operator_returns: bool = True
    """After it vanished; off to see what becomes of workers without one."""
    drains: bool = False
    """The operator asks workers to drain, and recalls them."""
    floor: int | None = None
    """It lowers the replicas to this at the least; None: it never scales."""
    writes_under_way: bool = False
    """Between an operator's decision and its effect anything may happen."""
    recovers: bool = False
    """The operator recovers what dead incarnations held."""
    children_outlive: bool = False
    """Children run on when the main process ends, until the container ends."""
    pool_processes_die: bool = False
    """Poison may end the process of the pool that runs it, and no more."""
    beside: bool = False
    """A plain kombu worker serves the same queue."""
    sweeps: bool = False
    """Somebody's visibility timeout passes and kombu restores what it finds."""
    results: bool = False
    """Runs leave a result that tells that they have finished."""
    max_deliveries: int = 3
    rules: Rules = field(default_factory=Rules)

    @property
    def start(self) -> State:
        """Everything published waits in its list; everyone is up and idle."""
        nothing: Memory = ""
        return State(
            messages=tuple(
                message._replace(
                    queued=int(message.published),
                    memory=(nothing,) * self.workers,
                    orphaned=(False,) * self.workers,
                )
                for message in self.messages
            ),
            workers=(Worker(),) * self.workers,
            operators=tuple(
                Operator(life="stands by" if number else "leads")
                for number in range(self.operators)
            ),
            replicas=self.workers,
            luck=self.luck,
        )


Step = Callable[[World, State], Iterator[Move]]
"""Everything of one kind that may happen next. Pure."""
