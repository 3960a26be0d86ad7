"""A fleet whose workers are the pods of a Deployment.

What reconcile asks of it is answered from the watches; what reconcile tells it to do is
written by ``act.deployments``. A lowering takes several ticks: the pods that may go are
marked, the marks are seen in our own watch, the number falls, the pods are seen going.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluiceway.act.deployments import GOES_FIRST, Deployments
from sluiceway.broker.holders import End
from sluiceway.cluster.pods import FollowedPods
from sluiceway.cluster.view import stale
from sluiceway.kube.errors import CONFLICT, KubeError
from sluiceway.kube.trouble import pod_trouble, stuck, trouble
from sluiceway.kube.views import Deployment, Pod, ReplicaSet
from sluiceway.kube.watch import Watch
from sluiceway.kube.workers import rolling_out, running_workers, several_generations
from sluiceway.observe import RunningWorker, Watched

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lowering:
    """A lower number that was asked for."""

    let_go: frozenset[str]
    """For whom it was lowered."""
    may_go: frozenset[str]
    """These, and those whose marks Kubernetes may know before we see them."""
    before: frozenset[str]
    """Who was there."""


class DeploymentFleet:
    """The workers of one TaskQueue."""

    def __init__(
        self,
        watched: Watched,
        *,
        deployment: str,
        owner: str | None,
        label: str,
        hints: bool,
        deployments: Watch[Deployment],
        pods: FollowedPods,
        write: Deployments,
        went_otherwise: Callable[[int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Bind it to its Deployment, which need not exist yet.

        Args:
            deployment: its ``namespace/name``.
            owner: the uid of the TaskQueue that it must belong to; None for one that a
                team brought along.
            label: the value of our label that its pods bear; empty where they bear none.
            hints: whether its pods may be marked.
            went_otherwise: told how many pods Kubernetes removed in place of those
                that it was asked to.
            clock: Unix seconds.
        """
        self.watched = watched
        self.deployment_key = deployment
        self.pods = pods
        self._owner = owner
        self._label = label
        self._hints = hints
        self._deployments = deployments
        self._write = write
        self._went_otherwise = went_otherwise
        self._clock = clock
        self._hindered: set[str] = set()
        """Pods that something once kept from working, by name."""
        self._lowering: _Lowering | None = None
        self._scaled: tuple[str, int] | None = None
        """The uid and generation that the Deployment had when we last changed its number."""
        self._asked = 0
        """That number; our own watch shows it a moment later."""
        self._would_ask: int | None = None
        """In a dry run: what would have been asked for by now."""

    def take_over(self, before: DeploymentFleet) -> None:
        """Know what ``before``, the same fleet under its earlier spec, knew."""
        self._hindered = before._hindered
        self._lowering = before._lowering
        self._scaled = before._scaled
        self._asked = before._asked
        self._would_ask = before._would_ask

    @property
    def deployment(self) -> Deployment | None:
        """The Deployment as it is now; None where it does not exist, or is another's."""
        there = self._deployments.objects.get(self.deployment_key)
        if there is not None and self._owner is not None:
            controller = there.metadata.controller
            if controller is None or controller.uid != self._owner:
                return None
        return there

    @property
    def replicas(self) -> int:
        """How many workers are asked for."""
        there = self.deployment
        if there is None:
            return 0
        if self._would_ask is not None:
            return self._would_ask
        return self._asked if self._is_unseen(there) else there.spec.replicas

    @property
    def rolling_out(self) -> bool:
        """Whether workers of more than one generation exist."""
        there = self.deployment
        if there is None:
            return False
        sets = self._of(there)[0]
        # Kubernetes may not have looked at it yet; what it has not looked at is our number.
        return several_generations(sets) if self._is_our_number(there) else rolling_out(there, sets)

    @property
    def problem(self) -> str | None:
        """Why what is seen of it may not be acted on, as a sentence."""
        return stale((self._deployments, *self.pods.watches))

    @property
    def trouble(self) -> str | None:
        """Why workers do not stay up, as a sentence."""
        there = self.deployment
        if there is None:
            return None
        if there.spec.replicas == 0 and there.status.replicas == 0:
            return self.problem  # nobody is there who could be in trouble
        return self.problem or trouble(there, self._of(there)[1])

    @property
    def stuck(self) -> str | None:
        """Why more workers would not work either, as a sentence."""
        there = self.deployment
        return stuck(there, self._of(there)[1], self._clock()) if there is not None else None

    @property
    def leaving(self) -> frozenset[str]:
        """Who was let go, until Kubernetes has told somebody to go in answer."""
        there = self.deployment
        if self._lowering and (there is None or self._has_answered(there)):
            here = self._names(there) if there else frozenset()
            others = self._lowering.before - self._lowering.may_go - here
            if others and self._lowering.let_go & here:
                self._went_otherwise(len(others))
                log.info(
                    "%s: Kubernetes removed %s in place of workers that were marked",
                    self.watched.key,
                    ", ".join(sorted(others)),
                )
            self._lowering = None
        return self._lowering.let_go if self._lowering else frozenset()

    @property
    def marked(self) -> frozenset[str]:
        """The workers that bear a mark of ours and are not on their way out."""
        there = self.deployment
        if there is None or not self._hints:
            return frozenset()
        return frozenset(pod.metadata.name for pod in self._staying(there) if _is_marked(pod))

    def ends(self) -> tuple[End, ...]:
        """Its workers that have ended for certain, also those of which no pod is left."""
        return self.pods.ends(self.watched.taskqueue.metadata.namespace, self._label)

    def workers(self) -> Sequence[RunningWorker]:
        """The workers that exist."""
        there = self.deployment
        if there is None:
            return ()
        pods = self._of(there)[1]
        self._hindered &= {pod.metadata.name for pod in pods}
        self._hindered |= {pod.metadata.name for pod in pods if pod_trouble(pod) is not None}
        return running_workers(pods, self._hindered)

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        """Ask for this many; the named workers are the ones to go.

        Nothing is done on a view that is not true, and no number is lowered while an
        earlier lowering is under way: one drained worker would lower it twice.

        Raises:
            KubeError: it could not be done; the next tick decides anew.
            NotLeadingError: another replica leads.
        """
        there = self.deployment
        if there is None or self.problem is not None or self._is_unseen(there):
            return
        may_go = let_go = frozenset(remove)
        if not self._is_lowering(there):
            await self._mark(there, may_go)
            if replicas < there.spec.replicas:
                # Only as many as Kubernetes knows whom to take for.
                unmarked = may_go - self.marked if self._hints else frozenset()
                replicas = min(replicas + len(unmarked & self._names(there)), there.spec.replicas)
                let_go = may_go - unmarked
        elif replicas < there.spec.replicas:
            return
        if replicas == there.spec.replicas:
            return
        try:
            was_sent = await self._write.scale(there, replicas)
        except KubeError as exc:
            if exc.status != CONFLICT:
                raise
            log.info("%s: was scaled by somebody else: deciding anew", self.watched.key)
            return
        if not was_sent:
            self._would_ask = replicas
        else:
            self._asked = replicas
            self._scaled = (there.metadata.uid, there.metadata.generation)
            if replicas < there.spec.replicas:
                before = self._names(there)
                self._lowering = _Lowering(let_go=let_go, may_go=may_go, before=before)

    async def _mark(self, there: Deployment, going: frozenset[str]) -> None:
        """Let exactly those that are to go bear our mark."""
        if not self._hints:
            return
        for pod in self._staying(there):
            name = pod.metadata.name
            if (name in going) is not _is_marked(pod):
                await self._write.mark(pod.metadata.namespace, name, goes_first=name in going)

    def _is_unseen(self, there: Deployment) -> bool:
        """Whether the number that we wrote last is still on its way to our own watch."""
        return self._scaled == (there.metadata.uid, there.metadata.generation)

    def _is_our_number(self, there: Deployment) -> bool:
        """Whether the Deployment's last change is the number that we wrote."""
        if self._scaled is None:
            return False
        uid, generation = self._scaled
        return (there.metadata.uid, there.metadata.generation) == (uid, generation + 1)

    def _has_answered(self, there: Deployment) -> bool:
        """Whether Kubernetes has told somebody to go, for all that was lowered."""
        return not self._is_unseen(there) and not self._is_lowering(there)

    def _is_lowering(self, there: Deployment) -> bool:
        """Whether more pods exist than are asked for: somebody will be told to go.

        A rollout has more, too, and does not lower.
        """
        sets, _ = self._of(there)
        return len(self._staying(there)) > there.spec.replicas and not several_generations(sets)

    def _names(self, there: Deployment) -> frozenset[str]:
        return frozenset(pod.metadata.name for pod in self._staying(there))

    def _staying(self, there: Deployment) -> list[Pod]:
        return [pod for pod in self._of(there)[1] if not (pod.finished or pod.stopping)]

    def _of(self, there: Deployment) -> tuple[tuple[ReplicaSet, ...], tuple[Pod, ...]]:
        return self.pods.of(there, self._label)


def _is_marked(pod: Pod) -> bool:
    return pod.metadata.annotations.deletion_cost == GOES_FIRST
