"""Workers are drained, recalled and replaced under load, again and again: is a task lost?

Tasks of 5 ms to 5 s, in four priorities, some with an ETA, run on three real workers on a
real server. One worker after the other is asked to drain: by a lease, after which it is
recalled, or ended and replaced; by a lease that is withdrawn midway; or by SIGTERM alone,
at work. What became of each task is counted in SQLite, where the
tasks themselves write it. Run it as ``python -m benchmarks.drains --drains 200``; it exits
with 1 when a task was lost, ran twice or was cut.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping

from benchmarks.common import Result, summary
from benchmarks.field import fresh_field
from benchmarks.load import Load
from benchmarks.verdict import Verdict
from sluiceway_worker import wire

WAYS = {"recalled": 3, "ended": 3, "recalled_midway": 1, "sigterm": 1}
"""How a drain goes on, and how often, beside the others."""
RECALLS = {"recalled": 1, "recalled_midway": 1}
"""Only those that restart no process."""


def run(
    drains: int = 10, workers: int = 3, seed: int = 1, ways: Mapping[str, int] = WAYS
) -> Result:
    """Drain that many times; counts of tasks, and how long a drain took in seconds."""
    with fresh_field() as field:
        chance = random.Random(seed + 1)
        fleet = [field.start() for _ in range(workers)]
        for worker in fleet:
            worker.says(wire.CONSUMING)
        took_s: list[float] = []
        went: Counter[str] = Counter()
        with Load(field, random.Random(seed)) as load:
            for number in range(drains):
                at = number % workers
                (way,) = chance.choices(list(ways), list(ways.values()))
                went[way] += 1
                worker = fleet[at]
                if way == "recalled_midway":
                    worker.ask()
                    time.sleep(chance.uniform(0, 1))
                    worker.recall()
                elif way != "sigterm":
                    took_s.append(worker.drain())
                if way == "recalled":
                    worker.recall()
                elif way != "recalled_midway":
                    worker.end()
                    fleet[at] = field.start()
                    fleet[at].says(wire.CONSUMING)
                time.sleep(chance.uniform(0, 0.5))
        field.settle(set(load.sent))
        for worker in fleet:
            worker.end()
        verdict = Verdict(set(load.sent)).figures(field)
        del verdict["back_s"]  # nobody was ended by force
        verdict["still_queued"] = field.queued()
        verdict["restarted"] = went["ended"] + went["sigterm"]
        drained = {f"drained_after_s_{name}": s for name, s in summary(took_s or [0.0]).items()}
        return {"drains": drains, **went, **verdict, **drained}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--drains", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = run(options.drains, options.workers, options.seed)
    for name, value in result.items():
        sys.stdout.write(f"{name:<24} {value:>10}\n")
    return 1 if result["lost"] or result["run_twice"] or result["cut"] else 0


if __name__ == "__main__":
    sys.exit(main())
