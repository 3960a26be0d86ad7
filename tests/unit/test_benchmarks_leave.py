"""A measurement that is told to go takes along what it started."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from benchmarks.common import leaves_in_order


def test_sigterm_ends_what_was_started_as_ctrl_c_does() -> None:
    ended = []
    before = signal.getsignal(signal.SIGTERM)

    def measure() -> None:
        with leaves_in_order(), ExitStack() as stack:
            stack.callback(ended.append, "the operator")
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        measure()

    assert ended == ["the operator"]
    assert signal.getsignal(signal.SIGTERM) is before
