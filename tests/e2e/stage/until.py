"""Waiting for what no event tells: asked again until it holds, or the test hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HANGS_S = 150.0
"""Nothing that is waited for takes so long, on however slow a machine."""


def until(ask: Callable[[], T], *, that: str, every_s: float = 0.3, hangs_s: float = HANGS_S) -> T:
    """Ask until the answer is true in Python's sense, and return it.

    Args:
        that: what is waited for, for the message.

    Raises:
        AssertionError: it did not come; the message has the last answer.
    """
    deadline = time.monotonic() + hangs_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{that}: not within {hangs_s:.0f} s (last: {answer!r})"
        time.sleep(every_s)
    return answer
