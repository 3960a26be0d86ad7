"""An operator that dies in the middle of a drain or a recovery leaves no task lost or repeated.

A short form of benchmarks/soak: workers, broker and API server are real, the kubelet is played.
"""

from __future__ import annotations

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

from benchmarks.field import fresh_field
from benchmarks.soak.points import DRAIN, RECOVERY
from benchmarks.soak.steps import Play


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "point", "unasked"),
    [
        (DRAIN, "after lease 1", ("run_twice", "run_again", "cut")),
        (RECOVERY, "after move 1", ("run_twice",)),
    ],
)
async def test_what_it_had_begun_another_one_ends(
    served: ControlPlane, namespace: Namespace, kind: str, point: str, unasked: tuple[str, ...]
) -> None:
    with fresh_field() as field:
        counted = await Play(served, namespace.name, field).run(kind, 1, only=[point])
    assert counted["operators_killed"] == 1
    assert counted["published"] == counted["finished"] != 0
    assert {name: counted[name] for name in unasked if counted[name]} == {}
    assert counted["still_held"] == 0
