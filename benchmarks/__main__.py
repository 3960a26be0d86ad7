"""Runs all measurements, prints the machine, the figures and the ratios."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import (
    agent_cost,
    decide,
    drains,
    gap,
    heartbeats,
    loop,
    reaction,
    simulation,
    take,
    tick,
    web,
)
from benchmarks.common import Result, arguments, machine, show, write

SIMULATION = "simulation: the rule on the suite, and many tasks"
MEASUREMENTS: dict[str, Callable[[bool], Result]] = {
    SIMULATION: simulation.run,
    "reaction: the first message on an idle fleet": reaction.run,
    "tick: one look at a broker": tick.run,
    "loop: a tick of all fleets": loop.run,
    "decide: decisions a second": decide.run,
    "heartbeats: what many workers cost one broker": heartbeats.run,
    "agent_cost: tasks and publishing, with the agent and without": agent_cost.run,
    "take: by script, and as kombu does": take.run,
    "gap: how soon a worker begins the next task": gap.run,
    "drains: workers leave under work": lambda small: drains.run(10 if small else 200),
    "web: the light page in the meltdown and after it": web.run,
}


def main() -> None:
    """One after the other, for they would disturb each other."""
    options = arguments("Measures Sluiceway side by side with what it is compared with.")
    figures: Result = {"machine": machine()}
    show("machine", figures["machine"])
    for title, run in MEASUREMENTS.items():
        figures[title] = run(not options.full)
        show(title, figures[title])
    write(options.json, figures)
    if figures[SIMULATION]["worse_than_stored"]:
        sys.exit("the rule got worse; after a change that was meant: benchmarks.simulation --store")


if __name__ == "__main__":
    main()
