"""The states of the protocol's world: where every message is, and how everyone fares.

A state is one frozen value. What is kept in Redis and what only a process remembers
stand side by side in each message, because that is what the protocol is about: a
message is safe while Redis can tell where it is, whatever becomes of the processes.

Order is left out on purpose. Any waiting message may be taken next, so whatever holds
here holds for every order, number of queues and priority. Time is left out, too: what
happens «after a while» (a lease ends, a timeout passes) may happen at any moment.

The records are tuples of plain strings and numbers, not dataclasses and enums: both
hash in C, and an exploration does little else than hash.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Memory = Literal["", "socket", "owed", "aside", "reserved", "waiting", "running", "finished"]
"""What a worker's process has of a message: nothing; a reply of the server that nobody
has read; a reply that was read only to be pushed back; taken only to be put back; taken
and not started; taken and held for a future ETA; running; finished and not yet
acknowledged."""

SLOT_TAKERS = frozenset({"reserved", "running", "finished"})
UNSTARTED = frozenset({"aside", "reserved", "waiting"})

Kind = Literal["plain", "poison"]
"""A poison message ends whatever process runs it."""

NOBODY = ""
NOW = ("worker 1", "worker 2", "worker 3")
"""The incarnation that lives in each pod at the moment."""
BEFORE = ("worker 1's predecessor", "worker 2's predecessor", "worker 3's predecessor")
"""The dead incarnations of each pod; of several, all that they left."""
BESIDE = "a plain kombu worker"

LETTERS = "ABCDEFGH"


class Message(NamedTuple):
    """One message. The first part is in Redis, ``memory`` to ``beside`` in processes."""

    kind: Kind = "plain"
    future: bool = False
    """Its ETA lies in the future."""
    published: bool = True
    queued: int = 0
    """Copies in the list that it was published to: one is right, two is a fault."""
    holder: str = NOBODY
    """Whose take stands in ``unacked``. In Redis this is what each take leaves of its own, so
    that a taker who remembers it can tell: a new tag (the atomic take), or the score in
    ``unacked_index`` (kombu's)."""
    claims: frozenset[str] = frozenset()
    """Incarnations that once took it, by tag alone; a fault in the making."""
    marked: bool = False
    """A result says that a run has finished."""
    deaths: int = 0
    """How many processes died of it, as far as recovery could tell."""
    parked: bool = False
    dead: bool = False
    acked: bool = False
    memory: tuple[Memory, ...] = ()
    """What each worker's process has of it."""
    orphaned: tuple[bool, ...] = ()
    """Runs on in a child whose main process has ended."""
    beside: bool = False
    """Runs in the plain kombu worker."""
    listed: frozenset[int] = frozenset()
    """Operators that have read this take in somebody's holdings and act on that."""
    ghosts: frozenset[str] = frozenset()
    """What the properties want to know and nobody in the world does."""

    @property
    def places(self) -> int:
        """In how many places Redis has it, of which there must be one."""
        return self.queued + (self.holder != NOBODY) + self.parked + self.dead

    @property
    def ended(self) -> bool:
        """It was acknowledged or is a dead letter, and nothing of it waits anywhere."""
        return (self.acked and self.places == 0) or (self.dead and self.places == 1)

    def in_memory(self, worker: int, memory: Memory) -> Message:
        """The same with another memory of one worker."""
        mine = self.memory
        return self._replace(memory=(*mine[:worker], memory, *mine[worker + 1 :]))

    def with_orphan(self, worker: int, orphaned: bool) -> Message:
        """The same with or without an orphaned run in one pod."""
        all_ = self.orphaned
        return self._replace(orphaned=(*all_[:worker], orphaned, *all_[worker + 1 :]))

    def haunted(self, ghost: str) -> Message:
        """The same with a ghost more."""
        return self._replace(ghosts=self.ghosts | {ghost})


class Worker(NamedTuple):
    """One pod with the incarnation that lives in it; two of them for Redis: the lease."""

    process: Literal["up", "frozen", "dead", "ended", "gone"] = "up"
    """``dead``: the main process has ended, the container not yet. ``ended``: the
    container has. ``gone``: the pod is no more."""
    mode: Literal["consuming", "draining", "drained", "stopping"] = "consuming"
    leased: bool = False
    """In Redis: a drain lease for this incarnation."""
    connected: bool = True
    polling: bool = False
    """A BRPOP of its is waiting at the server (kombu's take)."""
    doubt: bool = False
    """It fell silent, and has not yet compared its memory with Redis."""
    fresh: bool = False
    """It is new in its pod, and has not yet looked for what its predecessor held."""
    late: bool = False
    """A take went out over a connection that is lost by now, and may still arrive."""
    told_to_go: bool = False
    """Kubernetes counts it out and has sent SIGTERM, once."""
    signalled: bool = False
    """That SIGTERM has not been handled yet."""
    proven: bool = False
    """The kubelet's word that the container of the predecessors has ended."""
    blamed: bool = False
    """The predecessor died of an exit code, a signal or for want of memory."""
    unwatched: bool = False
    """Its Pod object was deleted by force: nobody will say how the container ended."""

    @property
    def alive(self) -> bool:
        return self.process in ("up", "frozen")

    @property
    def able(self) -> bool:
        """Up, with a connection to Redis."""
        return self.process == "up" and self.connected

    @property
    def silent(self) -> bool:
        """Its heartbeat has expired."""
        return not self.able

    @property
    def standing(self) -> bool:
        """Kubernetes counts it among the replicas."""
        return self.process != "gone" and not self.told_to_go and not self.unwatched


class Intent(NamedTuple):
    """What an operator has decided and not yet sent: a frozen one may send it late."""

    kind: Literal["lease", "recall", "lower", "raise", "recover", "bury"]
    worker: int = 0
    replicas: int = 0
    fresh: bool = True
    """The scale object has not been written since: its resourceVersion still fits."""


class Operator(NamedTuple):
    life: Literal["leads", "stands by", "deposed", "vanished"] = "leads"
    """``deposed``: frozen, believes that it leads; what it had decided may still arrive."""
    intent: Intent | None = None


class Mishaps(NamedTuple):
    """How much may still go wrong. Each kind is spent one by one, so there is an end."""

    crashes: int = 0
    cuts: int = 0
    """Lost connections between a worker and Redis."""
    freezes: int = 0
    evictions: int = 0
    """The container is ended by the node, which is nobody's fault."""
    force_deletions: int = 0
    vanishings: int = 0
    """The operator is gone; it comes back only where the world says so."""
    takeovers: int = 0


class State(NamedTuple):
    messages: tuple[Message, ...]
    workers: tuple[Worker, ...]
    operators: tuple[Operator, ...]
    replicas: int
    luck: Mishaps
    stood_by: bool = True
    """In Redis: somebody says that it will start a worker for what is parked."""

    def message(self, number: int, message: Message) -> State:
        """The same with another message."""
        all_ = self.messages
        return self._replace(messages=(*all_[:number], message, *all_[number + 1 :]))

    def worker(self, number: int, **changes: Any) -> State:
        """The same with one worker changed."""
        all_ = self.workers
        changed = all_[number]._replace(**changes)
        return self._replace(workers=(*all_[:number], changed, *all_[number + 1 :]))

    def operator(self, number: int, operator: Operator) -> State:
        """The same with another operator."""
        all_ = self.operators
        return self._replace(operators=(*all_[:number], operator, *all_[number + 1 :]))

    def spend(self, mishap: str) -> State:
        """The same with one mishap of this kind fewer to come."""
        return self._replace(luck=self.luck._replace(**{mishap: getattr(self.luck, mishap) - 1}))

    @property
    def led(self) -> bool:
        return any(operator.life == "leads" for operator in self.operators)

    def slots_taken(self, worker: int) -> int:
        return sum(message.memory[worker] in SLOT_TAKERS for message in self.messages)

    def running(self, worker: int) -> int:
        return sum(message.memory[worker] == "running" for message in self.messages)

    def empty_handed(self, worker: int) -> bool:
        """Nothing in its memory, nothing on its way to it."""
        return not self.workers[worker].polling and all(
            message.memory[worker] == "" for message in self.messages
        )


def key(state: State) -> State:
    """The same value for states that differ only in which of two like messages is which.

    Sorting by hash merges them as well as any order would; a collision merely merges
    one pair less.
    """
    return state._replace(messages=tuple(sorted(state.messages, key=hash)))


def letter(message: int) -> str:
    """How sentences call a message."""
    return f"message {LETTERS[message]}"
