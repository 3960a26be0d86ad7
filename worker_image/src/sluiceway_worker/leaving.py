"""SIGTERM drains first: nothing that is on its way to the worker is lost or marked.

Celery's own warm shutdown stops at once and sorts out afterwards what it had reserved.
Here the first SIGTERM (or Ctrl-C) says the same to the world (Celery's handler runs as
ever), but the shutdown itself is put off until the worker is drained. A second signal
means what it means in Celery, and so does SIGQUIT.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from celery.worker import state

if TYPE_CHECKING:
    from collections.abc import Callable

_WARM_HANDLER = "worker_Warm"
"""The name of Celery's handlers for a warm shutdown. Another handler, of the application
or of REMAP_SIGTERM, is left alone: there the signal was given another meaning."""


def drain_first(take_over: Callable[[int], bool]) -> None:
    """Put ourselves before Celery's handlers for SIGTERM and SIGINT.

    Args:
        take_over: called in the signal handler with the exit code; whether the agent
            will stop the worker by itself once it is drained.
    """
    for signum in (signal.SIGTERM, signal.SIGINT):
        celerys = signal.getsignal(signum)
        if callable(celerys) and getattr(celerys, "__name__", "") == _WARM_HANDLER:
            _put_before(signum, celerys, take_over)


def _put_before(
    signum: signal.Signals, celerys: Callable[..., Any], take_over: Callable[[int], bool]
) -> None:
    main_process = os.getpid()

    def on_signal(*args: Any) -> None:
        celerys(*args)
        # The loop looks at should_stop in this very thread, so not before we return.
        code = state.should_stop
        if code is None or code is False or os.getpid() != main_process:
            return
        if take_over(int(code)):
            state.should_stop = None

    try:
        signal.signal(signum, on_signal)
    except ValueError:
        return  # A worker that runs in a thread (tests) has no signals.
