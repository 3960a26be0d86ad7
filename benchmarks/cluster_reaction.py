"""One LPUSH of 100 tasks on an idle fleet of a real cluster → its Deployment's replicas.

20 workers are wanted. Two nodes, API server, operator and all pods share this machine.
How long KEDA takes for the same: ``benchmarks.keda_reaction``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import Result, arguments, show, summary, write

TESTS = Path(__file__).resolve().parents[1] / "tests"
# The test cluster and the stage of its scenes are no installed packages.
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "e2e")]

from stage import images  # noqa: E402
from stage.counting import Tasks  # noqa: E402
from stage.fleet import Fleet  # noqa: E402
from stage.objects import taskqueue  # noqa: E402
from stage.operator import Operator  # noqa: E402
from stage.servers import served  # noqa: E402
from stage.streams import watched  # noqa: E402
from stage.until import until  # noqa: E402
from testcluster.engine import engine  # noqa: E402
from testcluster.kubectl import Kubectl  # noqa: E402
from testcluster.provider import Provider, provide  # noqa: E402

COUNTS = (1, 2, 5, 10, 20)


def run(tries: int) -> Result:
    """Seconds from the LPUSH to spec.replicas of at least so many, try by try."""
    scaling = {"maxReplicas": 20, "target": {"backlogPerReplica": 5}}
    with (
        installed() as kubectl,
        served(kubectl, "redis") as broker,
        served(kubectl, "ledger") as ledger,
    ):
        tasks = Tasks(broker, ledger)
        rows = []
        for number in range(tries):
            name = f"try-{number}"
            kubectl.apply(json.dumps(taskqueue(name, broker, scaling=scaling)))
            rows.append(_try(Fleet(kubectl, name), tasks))
            kubectl.run("delete", "taskqueue", name, "--timeout=60s")
    return {
        f"s_until_{count}_replicas": {
            **summary([row[count] for row in rows]),
            "tries": [round(row[count], 3) for row in rows],
        }
        for count in COUNTS
    }


def _try(fleet: Fleet, tasks: Tasks) -> dict[int, float]:
    fleet.await_condition("Ready")
    with watched(fleet.kubectl, "deployment", ".spec.replicas", which=fleet.deployment) as seen:
        seen.wait(lambda lines: len(lines) > 0, that="the watch has begun")
        at = tasks.push(fleet.name, 100, seconds=0.05)
        seen.wait(lambda lines: lines[-1].fields == ("20",), that="twenty are asked for")
    until(tasks.done, that="all tasks have ended")
    return {
        count: next(line.at - at for line in seen.seen if int(line.fields[0]) >= count)
        for count in COUNTS
    }


@contextmanager
def installed() -> Iterator[Kubectl]:
    """A cluster of our own with the operator in it, and a namespace for the fleets."""
    with (
        provide(Provider.LOCAL) as cluster,
        engine() as builder,
        tempfile.TemporaryDirectory() as folder,
    ):
        images.build_all(builder)
        images.load_all(builder, cluster, Path(folder))
        Operator(cluster.kubectl).install()
        cluster.kubectl.run("create", "namespace", "measured")
        yield cluster.kubectl.within("measured")


def main() -> None:
    """Ten tries with --full, otherwise three."""
    options = arguments(__doc__ or "")
    figures = run(10 if options.full else 3)
    show("cluster_reaction", figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
