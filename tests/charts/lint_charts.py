"""What kube-score finds in all that the charts and manifests make: ``make charts-lint``.

kube-score is built from Go modules into the cache, in a few minutes, once. Each finding is
mended or argued below; one that is neither fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from charting.app_sets import APP_SETS
from charting.helm import running_helm
from charting.paths import APP, CHART, OVERLAYS
from charting.sets import SETS
from testcluster.build import ensure_built
from testcluster.kubectl import Kubectl
from testcluster.paths import cache_folder
from testcluster.toolchain import find_go

MODULE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
WORTH_A_WORD = 5
"""kube-score's grades: 1 critical, 5 warning, 7 almost, 10 fine."""

ARGUED: dict[str, str] = {
    "container-ephemeral-storage-request-and-limit": "root file systems are read-only and /tmp is "
    "small; a limit would end a pod for what it wrote to its log",
    "container-image-pull-policy": "tags are of releases and never move, and a digest can be "
    "given; Always would make every start depend on the registry. It is in the values",
    "container-resources": "a CPU limit throttles at the moment when something is to be done, and "
    "requests already share the node fairly; memory has limits. It is in the values",
    "container-security-context-user-group-id": "the images' own numeric user is kept, above 10000 "
    "in ours; another one, fixed here, would not fit users' images. runAsNonRoot holds for all",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints say the same, and also hold "
    "for more replicas than nodes; the high-availability overlay has the anti-affinity",
    "deployment-has-poddisruptionbudget": "found where a set of values switches it off",
    "deployment-replicas": "found where a set of values says one replica, and for Flower, which "
    "keeps what it saw in its own memory: two would each show half",
    "pod-networkpolicy": "who may reach a web, and what an application connects to, is not the "
    "charts' to know; the operator's and the broker's ports are limited, the operator's own "
    "connections by networkPolicy.egress.enabled",
    "pod-probes-identical": "Flower has one page for it; liveness waits much longer before it acts",
    "statefulset-has-servicename": "Beat and the embedded broker have one pod each, which nobody "
    "looks for by a name of its own: a headless Service would have no reader",
}
"""Check of kube-score → why what it finds stays as it is."""


def linter() -> Path:
    """kube-score, built where it is not in the cache."""
    folder = cache_folder().parent / "linters" / MODULE.rpartition("@")[2]
    program = folder / "kube-score"
    if not program.exists():
        print(f"building {MODULE} from Go modules: a few minutes, once", file=sys.stderr)
        environment = os.environ | {"GOBIN": str(folder)}
        subprocess.run(["nice", find_go(), "install", MODULE], check=True, env=environment)
    return program


def made() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where from → the objects, of every set of values and every overlay."""
    with running_helm() as helm:
        for chart, sets in ((CHART, SETS), (APP, APP_SETS)):
            for name, values in sets.items():
                yield f"{chart.name}: {name}", helm.render(chart, values).objects
    kubectl = Kubectl(program=ensure_built().kubectl, kubeconfig=Path(os.devnull))
    for folder in sorted(OVERLAYS.iterdir()):
        yield f"overlays/{folder.name}", list(yaml.safe_load_all(kubectl.run("kustomize", folder)))


def findings(program: Path, objects: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(check, what it says of which object) of all that is not fine."""
    done = subprocess.run(
        [program, "score", "--output-format=json", "--kubernetes-version=v1.33", "-"],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(done.stderr)
    for one in json.loads(done.stdout) or ():
        name = f"{one['type_meta']['kind']}/{one['object_meta']['name']}"
        for check in one["checks"] or ():
            if not check["skipped"] and check["grade"] <= WORTH_A_WORD:
                said = {comment["summary"] for comment in check["comments"] or ()}
                yield check["check"]["id"], f"{name}: {'; '.join(sorted(said))}"


def main() -> None:
    """Print the findings, each once; exit with 1 when one is not argued."""
    program = linter()
    found: defaultdict[str, set[str]] = defaultdict(set)
    objects = 0
    for _, some in made():
        objects += len(some)
        for check, said in findings(program, some):
            found[check].add(said)
    for check, said in sorted(found.items()):
        print(f"{check}: {ARGUED.get(check, 'NOT ARGUED')}")
        for one in sorted(said):
            print(f"  {one}")
    bare = sorted(found.keys() - ARGUED.keys())
    idle = sorted(ARGUED.keys() - found.keys())
    print(f"{objects} objects, {len(found)} kinds of findings, {len(bare)} of them not argued")
    if bare or idle:
        raise SystemExit(f"not argued: {bare}; argued and not found any more: {idle}")


if __name__ == "__main__":
    main()
