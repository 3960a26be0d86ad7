"""How long a running task is likely to run on: one expectation for all who ask."""

from __future__ import annotations


def remaining_s(ran_s: float, run_s: float) -> float:
    """Seconds until a task that has run for ``ran_s`` ends, where ``run_s`` is the mean.

    One younger than the mean is expected to end at the mean. One that is older is one
    of the long ones, and the longer it has run the longer it is likely to run on: it is
    taken to be at half its time.
    """
    return ran_s if ran_s >= run_s else run_s - ran_s
