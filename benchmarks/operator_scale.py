"""One operator and many TaskQueues on a real control plane: what they cost, idle and busy.

TaskQueues are applied while the operator runs; all are idle; one in a hundred gets a
message; the operator is started again, with messages that nobody has seen; all get one.
API server, etcd, controllers, broker and operator share this machine, and there is no node:
workers are asked for, and their pods stay pending.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import redis

from benchmarks.common import (
    Result,
    leaves_in_order,
    machine,
    parser,
    server,
    show,
    url_of,
    write,
)
from benchmarks.scale_cloning import clone
from benchmarks.scale_costs import Sources, check_profiler, cpu_s, scrape, until, window
from benchmarks.scale_world import AGENT_IMAGE, Operator, Seen, control_plane, create, name_of

BUSY_SHARE = 100
"""One in so many gets messages."""
WINDOW_S = 30.0
"""For so long the costs of a state are measured."""
PATIENCE_S = 120.0
"""For one step; what did not come in this time is told as it is then."""
_MESSAGE = '{"body": "", "headers": {"id": "x"}, "properties": {}}'


class Scale:
    """One control plane with ``count`` TaskQueues, from the first to the last step."""

    def __init__(self, count: int, folder: Path, options: Namespace, stack: ExitStack) -> None:
        """Start all but the operator."""
        self._count = count
        self._folder = folder
        self._profile = options.profile / str(count) if options.profile else None
        self._stack = stack
        self._cluster = stack.enter_context(
            control_plane(folder / "cluster", controllers=not options.no_controllers)
        )
        self._broker: redis.Redis = stack.enter_context(server(appendonly="yes"))
        self._watching = stack.enter_context(ExitStack())
        self._look()
        self._clones: bool = options.clones
        self._operator: Operator | None = None

    def run(self) -> Result:
        """All steps."""
        few = range(0, self._count, BUSY_SHARE)
        unseen = range(1, self._count, BUSY_SHARE)
        self._start().until_it_leads()
        if self._clones:
            self._clone()
        steps: dict[str, Callable[[], Result]] = {
            **({} if self._clones else {"taken_in": self._take_in}),
            "idle": self._idle,
            "one_in_a_hundred_busy": lambda: self._busy("few_busy", few),
            "restart": lambda: self._restart(unseen),
            "all_busy": lambda: self._busy("all_busy", range(self._count)),
        }
        found: Result = {}
        for name, step in steps.items():
            found[name] = step()
            show(f"{self._count} TaskQueues, {name}", found[name])
        return found

    def _clone(self) -> None:
        """One is served as ever, and copied; then the operator starts with all of them."""
        assert self._operator is not None
        create(self._cluster, url_of(self._broker), 1)
        until(lambda: self._seen.ready == 1, PATIENCE_S)
        time.sleep(15.0)  # its numbers follow
        self._operator.stop()
        clone(self._cluster, AGENT_IMAGE, self._count)
        self._look()
        until(lambda: self._seen.made == self._count, PATIENCE_S)
        last = name_of(self._count - 1)
        self._broker.lpush(last, _MESSAGE)
        self._start()
        until(lambda: last in self._seen.asked, PATIENCE_S)

    def _take_in(self) -> Result:
        """From the first that is created on."""
        seen, count = self._seen, self._count
        with window(self._sources(), "taken_in") as spent:
            began = time.monotonic()
            create(self._cluster, url_of(self._broker), count)
            created_s = time.monotonic() - began
            until(lambda: seen.made >= count, PATIENCE_S)
            made_s = time.monotonic() - began
            until(lambda: seen.ready >= count, PATIENCE_S)
            ready_s = time.monotonic() - began
        operator_s = spent.costs["operator_share_of_a_core"] * spent.costs["s"]
        return {
            "created_per_s": round(count / created_s, 1),
            "with_a_deployment": seen.made,
            "with_a_deployment_per_s": round(seen.made / made_s, 1),
            "ready": seen.ready,
            "ready_per_s": round(seen.ready / ready_s, 1),
            "s_behind_the_last_create": round(ready_s - created_s, 1),
            "operator_cpu_ms_each": round(1000 * operator_s / count, 2),
            "costs": spent.costs,
        }

    def _idle(self) -> Result:
        time.sleep(15.0)  # the controllers' and our own last writes
        with window(self._sources(), "idle") as spent:
            time.sleep(WINDOW_S)
        return spent.costs | {"one_scrape": scrape(self._sources())}

    def _busy(self, name: str, numbers: Sequence[int]) -> Result:
        """Messages in these queues: until all have workers asked for, and what that state costs."""
        with window(self._sources(), f"{name}_rising") as rising:
            self._publish(numbers)
            waited = until(lambda: self._asked(numbers) == len(numbers), PATIENCE_S)
        asked = self._asked(numbers)
        time.sleep(5.0)
        with window(self._sources(), name) as spent:
            time.sleep(WINDOW_S)
        return {
            "queues": len(numbers),
            "asked_for": asked,
            "s_until_asked_for": None if waited is None else round(waited, 2),
            "rising": rising.costs,
            "then": spent.costs,
        }

    def _restart(self, unseen: Sequence[int]) -> Result:
        """Messages come while nobody leads: until their fleets are raised."""
        assert self._operator is not None
        self._operator.stop()
        self._publish(unseen)
        began = time.monotonic()
        pid = self._start().pid
        until(lambda: self._asked(unseen) > 0, PATIENCE_S)
        first_s, first_cpu_s = time.monotonic() - began, cpu_s(pid)
        until(lambda: self._asked(unseen) == len(unseen), PATIENCE_S)
        return {
            "messages_in_queues": len(unseen),
            "raised": self._asked(unseen),
            "s_until_the_first_is_raised": round(first_s, 2),
            "operator_cpu_s_until_the_first_is_raised": round(first_cpu_s, 2),
            "s_until_all_are_raised": round(time.monotonic() - began, 2),
            "operator_cpu_s_until_all_are_raised": round(cpu_s(pid), 2),
        }

    def _look(self) -> None:
        """Watch anew: many copies come with one version, and a watch goes on behind it."""
        self._watching.close()
        self._seen = self._watching.enter_context(Seen(self._cluster.credentials.kubeconfig()))

    def _start(self) -> Operator:
        self._operator = Operator(self._cluster, self._folder / "operator.log")
        self._stack.callback(self._operator.stop)
        return self._operator

    def _sources(self) -> Sources:
        assert self._operator is not None
        return Sources(
            processes={
                "operator": self._operator.pid,
                "api_server": self._cluster.api_server.pid,
                "etcd": self._cluster.etcd.pid,
            },
            metrics=self._operator.metrics,
            broker=self._broker,
            profile=self._profile,
        )

    def _publish(self, numbers: Sequence[int]) -> None:
        with self._broker.pipeline(transaction=False) as pipe:
            for n in numbers:
                pipe.lpush(name_of(n), _MESSAGE)
            pipe.execute()

    def _asked(self, numbers: Sequence[int]) -> int:
        return sum(name_of(n) in self._seen.asked for n in numbers)


def run(count: int, options: Namespace) -> Result:
    """All steps with ``count`` TaskQueues on a fresh control plane."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return Scale(count, Path(folder), options, stack).run()


def main() -> None:
    """The numbers of TaskQueues come from the command line."""
    options = parser(__doc__ or "")
    options.add_argument("--counts", type=int, nargs="+", metavar="N", help="so many TaskQueues")
    options.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="profile the operator by py-spy, too"
    )
    options.add_argument(
        "--no-controllers",
        action="store_true",
        help="Deployments stay without ReplicaSets and pods",
    )
    options.add_argument(
        "--clones", action="store_true", help="copy one that is served, in place of applying all"
    )
    given = options.parse_args()
    check_profiler(given.profile)
    figures: Result = {"machine": machine()}
    try:
        with leaves_in_order():
            for count in given.counts or ((100, 1_000, 10_000) if given.full else (100,)):
                figures[f"{count}_taskqueues"] = run(count, given)
                write(given.json, figures)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
