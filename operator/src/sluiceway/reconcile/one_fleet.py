"""One tick of one fleet: gather, decide, act, report."""

from __future__ import annotations

from collections.abc import Callable

from sluiceway.act.carry_out import carry_out
from sluiceway.decide.attention import at_rest, could_act
from sluiceway.decide.chain import decide
from sluiceway.decide.decision import Decision
from sluiceway.decide.observation import Observation
from sluiceway.observe import Reading, Watched, observe
from sluiceway.reconcile.edges import Commands, Fleet, Reporter, Wakes
from sluiceway.reconcile.past import Past
from sluiceway.reconcile.prefixes import Prefixes
from sluiceway.reconcile.rounds import Rounds
from sluiceway.reconcile.still import Still
from sluiceway.report.status import FleetStatus, status_of
from sluiceway.report.visibility import timeouts_of
from sluiceway.report.work import fleet_work


class OneFleet:
    """Takes the four steps, for one fleet at a time."""

    def __init__(
        self,
        *,
        leases: Callable[[Watched], Commands],
        wakes: Wakes,
        report: Reporter,
        rounds: Rounds,
        prefixes: Prefixes,
    ) -> None:
        """For the fleets of one broker."""
        self._leases = leases
        self._wakes = wakes
        self._report = report
        self._rounds = rounds
        self._prefixes = prefixes

    async def tick(self, fleet: Fleet, past: Past, reading: Reading, now: float) -> None:
        """Take them once.

        Args:
            past: what the last tick left; what this one leaves when it returns.
            reading: a look at its broker.
            now: Unix seconds.

        Raises:
            Exception: whatever kept the decision from being carried out; it was told
                all the same.
        """
        past.come_up_to(now, fleet.watched.taskqueue.spec)
        before = past.status
        observation = self._gather(fleet, past, reading, now)
        decision = self._decide(fleet, past, observation, now)
        try:
            await self._act(fleet, past, observation, decision)
        finally:
            # What was seen and decided is news also where it could not be carried out.
            status = self._tell(fleet, past, observation, decision)
        if at_rest(observation, decision) and decision.wake_at is None:
            past.still = Still.after(
                observation,
                status,
                before=before,
                trouble=fleet.trouble,
                not_waking=self._wakes.problem(fleet.watched),
                now=now,
            )

    def _gather(self, fleet: Fleet, past: Past, reading: Reading, now: float) -> Observation:
        observation, past.memory = observe(
            reading,
            fleet.watched,
            workers=fleet.workers(),
            replicas=fleet.replicas,
            now=now,
            memory=past.memory,
            rolling_out=fleet.rolling_out,
            stuck=fleet.stuck,
        )
        return observation

    def _decide(self, fleet: Fleet, past: Past, observation: Observation, now: float) -> Decision:
        """The decision, and how soon and on what news the next is due."""
        spec = fleet.watched.taskqueue.spec
        decision = decide(spec, observation, past.history, now)
        past.history = decision.history
        past.acting = could_act(spec, observation, decision)
        self._rounds.decided(
            fleet.watched.key, at_rest=at_rest(observation, decision), call_at=decision.wake_at
        )
        return decision

    async def _act(
        self, fleet: Fleet, past: Past, observation: Observation, decision: Decision
    ) -> None:
        before, past.leased = past.leased, past.leased | frozenset(decision.drain)
        past.leased = await carry_out(
            decision,
            observation,
            fleet=fleet,
            leases=self._leases(fleet.watched),
            leased=before,
        )

    def _tell(
        self, fleet: Fleet, past: Past, observation: Observation, decision: Decision
    ) -> FleetStatus:
        watched, spec = fleet.watched, fleet.watched.taskqueue.spec
        past.timeouts = timeouts_of(
            watched.prefix,
            past.memory.latest,
            self._prefixes.shortest_timeout_but(watched),
            past.timeouts,
        )
        past.status = status_of(
            watched.key,
            observation,
            decision,
            asked=fleet.replicas,
            not_waking=self._wakes.problem(watched),
            trouble=fleet.trouble,
            before=past.status,
            work=fleet_work(past.memory.latest, observation),
            target_wait_s=spec.scaling.target.max_wait,
            longest_task_s=spec.worker.longest_task,
            timeout_warnings=past.timeouts.warnings(spec.worker.longest_task),
        )
        self._report.add(past.status)
        return past.status
