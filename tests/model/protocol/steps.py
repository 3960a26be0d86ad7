"""All steps: those that happen sooner or later, and those that only may."""

from __future__ import annotations

from protocol import (
    beside,
    connection,
    draining,
    dying,
    future,
    kubernetes,
    leading,
    recovery,
    taking,
    working,
)
from protocol.world import Step

OPERATORS: tuple[Step, ...] = (
    leading.recovers_the_dead,
    leading.buries_the_silent,
    leading.asks_for_a_worker,
    leading.sends,
    leading.stands_by,
    leading.returns,
)
"""What a living operator does sooner or later, its return included."""

MUST: tuple[Step, ...] = (
    working.publishes,
    taking.asks,
    taking.answers,
    taking.answers_with_nothing,
    taking.reads,
    taking.pushes_back,
    taking.takes,
    working.starts,
    working.finishes,
    working.leaves_its_result,
    working.acknowledges,
    draining.sees_the_lease,
    draining.sees_no_lease,
    draining.lease_ends,
    draining.is_told_to_stop,
    draining.gives_back,
    draining.says_drained,
    draining.exits,
    connection.reconnects,
    dying.poison_works,
    dying.process_of_the_pool_dies,
    dying.container_ends,
    dying.container_starts_again,
    dying.kubelet_ends_a_deleted_pod,
    dying.pod_is_gone,
    recovery.settles,
    recovery.looks_back,
    recovery.times_out,
    *OPERATORS,
    kubernetes.tells_a_pod_to_go,
    kubernetes.starts_a_pod,
    future.comes_due,
    future.parks,
    future.releases,
    beside.plain_worker_finishes,
)
"""The world's own course. It is assumed that none of these is put off for ever."""

MAY: tuple[Step, ...] = (
    leading.asks_to_drain,
    leading.recalls,
    leading.lowers,
    leading.vanishes,
    leading.nobody_stands_by,
    leading.takes_over,
    leading.deposed_one_sends,
    taking.late_take_arrives,
    connection.connection_is_lost,
    dying.main_process_dies,
    dying.is_evicted,
    dying.pod_object_is_deleted,
    dying.freezes,
    dying.thaws,
    beside.plain_worker_takes,
)
"""Decisions and mishaps. Nothing good may depend on them: not on a recall, not on a thaw."""
