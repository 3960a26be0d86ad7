"""Starts the Celery of any image, with Sluiceway's agent where that is possible.

    python launcher.py -A APP worker [any option of `celery worker`]

It lies alone in its folder, and the agent in the folder `agent` beside that one. It
fails open: whatever goes wrong with the agent or the probe is one line on stderr, and
Celery starts all the same. It runs on the image's own Python, so it is written for
old ones and needs nothing but the standard library and Celery.

The probe is a TCP port that is open while the worker is well. The kernel answers a
connection to an open port, so that a task which computes without ever letting go of
the interpreter passes, and a probe costs next to nothing. Who connects and asks is
told in a line what was seen (`curl HOST:PORT`).
"""

import os
import signal
import sys


def leave_at_once(*_):
    """Nothing has been taken yet that would have to be finished."""
    os._exit(0)


if __name__ == "__main__":
    # Celery listens later. Until then nobody would hear it: a container's first process
    # is not ended by a signal that it has no handler for, and would work on unasked. What
    # is left is the interpreter's own start, in which nothing of ours runs.
    signal.signal(signal.SIGTERM, leave_at_once)

import socket  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

HERE = Path(__file__).resolve().parent
AGENT = HERE.parent / "agent"

# As in sluiceway_worker.wire and in the pod's manifest.
ENV_ACKS = "SLUICEWAY_ACKS"
ENV_PROBE_PORT = "SLUICEWAY_PROBE_PORT"

STALE_S = 60.0
"""kombu's loop turns at least every ten seconds, whatever happens or does not."""

LOOK_EVERY_S = 5.0

BACKLOG = 4096
"""Connections that wait while the interpreter is busy; probes of many hours."""


def complain(what, error):
    """One line on stderr."""
    sys.stderr.write(f"sluiceway: {what} ({type(error).__name__}: {error})\n")
    sys.stderr.flush()


def take_off_own_folder():
    """Python puts the script's folder first; the application's modules must come first."""
    if sys.path and Path(sys.path[0]).resolve() == HERE:
        del sys.path[0]


def start_agent():
    """Whether the worker that will start in this process has its agent."""
    # Last, so that nothing of ours ever stands before a module of the image.
    sys.path.append(str(AGENT))
    try:
        from sluiceway_worker.launch import prepare

        prepare(os.environ.get(ENV_ACKS) or "app")
    except (Exception, SystemExit) as error:
        complain("the agent cannot start; the worker starts as plain Celery", error)
        return False
    return True


class Watched:
    """What is known of the worker's loop, without asking the broker or the agent."""

    def __init__(self, with_agent):
        self.with_agent = with_agent
        self.consumer = None
        self.main_thread = threading.current_thread().ident
        self.turned()
        self.excused_at = self.turned_at

    def consuming(self, consumer):
        """The loop begins, for the first time; it is this one after each reconnection, too."""
        self.consumer = consumer
        self.turned()
        # Green pools have no such loop; of them nothing is known here.
        if consumer.hub is not None:
            consumer.hub.on_tick.add(self.turned)

    def turned(self):
        """Called on every turn."""
        self.turned_at = time.monotonic()

    def verdict(self):
        """(well, words): well unless the loop hangs while there is nothing to wait for.

        An excuse holds for as long as a turn: what was waited for may have ended only now.
        """
        agent = "here" if self.with_agent else "absent"
        if self.consumer.hub is None:
            return True, f"agent {agent}, loop unknown"
        now = time.monotonic()
        for_s = now - self.turned_at
        words = f"agent {agent}, loop turned {for_s:.0f} s ago"
        if for_s < STALE_S:
            return True, words
        excuse = self.excuse()
        if excuse:
            self.excused_at = now
            return True, f"{words}, {excuse}"
        return now - self.excused_at < STALE_S, f"{words}, and nothing is waited for"

    def excuse(self):
        """What a loop that does not turn may be waiting for; None when there is nothing."""
        from celery.worker import state

        if state.active_requests:
            return "a task runs"
        # An exit code of zero is a stop, too.
        orders = (state.should_stop, state.should_terminate)
        if any(order is not None and order is not False for order in orders):
            return "it is stopping"
        where = modules_on_stack(self.main_thread)
        if "celery.worker.loops" not in where:
            return "it is connecting"
        if any(name.split(".")[0] == "redis" for name in where):
            return "the broker is waited for"
        if any(getattr(step, "draining", False) for step in self.consumer.steps):
            return "it is draining"
        return None


def modules_on_stack(thread):
    """The names of the modules whose functions a thread is in."""
    names = set()
    frame = sys._current_frames().get(thread)
    while frame is not None:
        names.add(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return names


class Probe:
    """The port, in a thread of its own: open from the first turn of the loop on."""

    def __init__(self, port, watched):
        self.port = port
        self.watched = watched
        self.listener = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.close)

    def run(self):
        while True:
            try:
                well, words = self.watched.verdict()
                if well and self.listener is None:
                    self.open()
                elif not well and self.listener is not None:
                    sys.stderr.write(f"sluiceway: the worker hangs: {words}\n")
                    # Also for the pool's processes, which may have inherited it.
                    self.listener.shutdown(socket.SHUT_RDWR)
                    self.close()
                self.answer(words)
            except Exception as error:
                complain("the probe", error)
                time.sleep(LOOK_EVERY_S)

    def open(self):
        try:
            listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            everywhere = "::"
        except (OSError, AttributeError):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            everywhere = "0.0.0.0"
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((everywhere, self.port))
        listener.listen(BACKLOG)
        listener.settimeout(LOOK_EVERY_S)
        self.listener = listener

    def answer(self, words):
        """Wait for the next connection, at most until the loop is to be looked at again."""
        if self.listener is None:
            time.sleep(LOOK_EVERY_S)
            return
        try:
            connection, _ = self.listener.accept()
        except socket.timeout:  # noqa: UP041 - not the built-in one before Python 3.10
            return
        try:
            connection.settimeout(0.2)
            # A kubelet says nothing and leaves.
            if connection.recv(4096):
                text = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{words}\n"
                connection.sendall(text.encode())
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None


def serve_probe(with_agent):
    """Have the probe served once the worker consumes; without a port there is none."""
    port = os.environ.get(ENV_PROBE_PORT)
    if not port:
        return
    try:
        from celery.signals import worker_ready

        watched = Watched(with_agent)
        probe = Probe(int(port), watched)
        thread = threading.Thread(target=probe.run, name="sluiceway-probe")
        thread.daemon = True

        def on_ready(sender=None, **_):
            watched.consuming(sender)
            if not thread.is_alive():
                thread.start()

        worker_ready.connect(on_ready, weak=False)
    except Exception as error:
        complain("there is no probe", error)


def main():
    take_off_own_folder()
    # Green pools change the standard library, which must come before all other imports.
    from celery import maybe_patch_concurrency

    maybe_patch_concurrency()
    serve_probe(start_agent())

    from celery.__main__ import main as celery

    celery()


if __name__ == "__main__":
    main()
