"""A small explicit-state model checker: breadth first, every state once, then dead ends.

Safety properties are looked at in every state as it is found, so that a counterexample
is as short as any. For a goal, the states from which it can be reached are collected
backwards from those that reach it; the first state left over is a dead end.

Own code, not a library: what is needed of one is this page, and in Python none is both
kept up and able to print a trace in our own sentences.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.properties import Goal, Safety, named
from protocol.state import State, key
from protocol.steps import MAY, MUST
from protocol.world import Step, World

STEPS: tuple[Step, ...] = (*MUST, *MAY)


@dataclass(frozen=True, kw_only=True)
class Counterexample:
    """How a property comes to be violated."""

    broken: str
    """The property's name."""
    wrong: str
    """What is wrong in the last state."""
    trace: tuple[str, ...]
    """What happened until then, a sentence each."""

    def __str__(self) -> str:
        lines = [f"{number:3}. {sentence}" for number, sentence in enumerate(self.trace, start=1)]
        return "\n".join([f"Broken: {self.broken}", *lines, f"     => {self.wrong}"])


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What was found in a world."""

    states: int
    """Different states that were looked at; all there are, where nothing is wrong."""
    steps: int
    """Steps between them."""
    taken: Counter[str]
    """How often each kind of step was possible."""
    counterexample: Counterexample | None


class TooManyStatesError(Exception):
    """The world is larger than the limit that was given."""


def explore(
    world: World,
    safety: Sequence[Safety] = (),
    goals: Iterable[Goal] = (),
    *,
    at_most: int = 2_000_000,
) -> Exploration:
    """Look at every state that ``world`` can come to.

    Raises:
        TooManyStatesError: there are more than ``at_most``.
    """
    return _Search(world, safety, at_most).run(tuple(goals))


class _Search:
    def __init__(self, world: World, safety: Sequence[Safety], at_most: int) -> None:
        self._world = world
        self._safety = tuple(named(tuple(safety)))
        self._at_most = at_most
        self._numbers: dict[State, int] = {}
        self._states: list[State] = []
        # How each state was first come to: from which, and by what.
        self._ways: list[tuple[int, str]] = []
        # For each state the states before it, and the kind of step between.
        self._back: list[list[tuple[int, int]]] = []
        self._taken: Counter[str] = Counter()

    def run(self, goals: tuple[Goal, ...]) -> Exploration:
        found = self._forwards()
        if found is None:
            found = next(filter(None, (self._dead_end(goal) for goal in goals)), None)
        return Exploration(
            states=len(self._states),
            steps=sum(map(len, self._back)),
            taken=self._taken,
            counterexample=found,
        )

    def _forwards(self) -> Counterexample | None:
        world = self._world
        self._number(world.start, -1, "", 0)
        for at in _counting(self._states):
            state = self._states[at]
            for name, wrong_with in self._safety:
                if wrong := wrong_with(world, state):
                    return Counterexample(broken=name, wrong=wrong, trace=self._trace(at))
            if len(self._states) > self._at_most:
                raise TooManyStatesError(f"more than {self._at_most} states")
            for kind, step in enumerate(STEPS):
                for sentence, after in step(world, state):
                    self._taken[step.__name__] += 1
                    self._number(after, at, sentence, kind)
        return None

    def _number(self, state: State, before: int, sentence: str, kind: int) -> None:
        merged = key(state)
        number = self._numbers.get(merged)
        if number is None:
            number = self._numbers[merged] = len(self._states)
            # The state as it was come to, so that a trace keeps calling things the same.
            self._states.append(state)
            self._ways.append((before, sentence))
            self._back.append([])
        if before >= 0:
            self._back[number].append((before, kind))

    def _dead_end(self, goal: Goal) -> Counterexample | None:
        counted = {kind for kind, step in enumerate(STEPS) if step in goal.by}
        good = [goal.reached(self._world, state) for state in self._states]
        waiting = deque(number for number, reached in enumerate(good) if reached)
        while waiting:
            for before, kind in self._back[waiting.popleft()]:
                if kind in counted and not good[before]:
                    good[before] = True
                    waiting.append(before)
        for number, state in enumerate(self._states):
            if not good[number] and goal.applies(self._world, state):
                return Counterexample(
                    broken=str(goal),
                    wrong="from here on it cannot come to that any more",
                    trace=self._trace(number),
                )
        return None

    def _trace(self, number: int) -> tuple[str, ...]:
        sentences = []
        while number > 0:
            number, sentence = self._ways[number]
            sentences.append(sentence)
        return tuple(reversed(sentences))


def _counting(growing: list[State]) -> Iterable[int]:
    """The indices of a list that grows meanwhile."""
    at = 0
    while at < len(growing):
        yield at
        at += 1
