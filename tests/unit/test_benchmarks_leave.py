"""A measurement that is told to go takes along what it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks.common import leaves_in_order


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["typed", "background"])
def ctrl_c(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What Ctrl-C does, as the shell has it for what it starts."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_sigterm_ends_what_was_started_as_ctrl_c_does(ctrl_c: Any) -> None:
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
    assert signal.getsignal(signal.SIGINT) is ctrl_c
