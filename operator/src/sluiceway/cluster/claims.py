"""Who serves which queue and who scales which Deployment: each has one TaskQueue.

Two fleets on one queue would both count its backlog, and two on one Deployment would
each undo the other's number. The older TaskQueue keeps what it has, the younger one is
told. Pure, but for remembering who claims what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.reading import BrokerQueue


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueClaim:
    """One queue of one broker's database."""

    broker: BrokerAddress
    """Without user and password."""
    prefix: str
    queue: str

    def __str__(self) -> str:
        return f"queue {self.prefix}{self.queue} of broker {self.broker}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentClaim:
    """One Deployment."""

    key: str
    """``namespace/name``."""

    def __str__(self) -> str:
        return f"Deployment {self.key}"


Claim = QueueClaim | DeploymentClaim


def queue_claims(address: BrokerAddress, queues: Collection[BrokerQueue]) -> Iterator[QueueClaim]:
    """What serving these queues claims. By whom it is read, and how, changes nothing."""
    database = replace(address, username=None, password=None, tls=None)
    for queue in queues:
        yield QueueClaim(broker=database, prefix=queue.prefix, queue=queue.name)


class Claims:
    """All claims. The oldest claimant of a thing has it."""

    def __init__(self) -> None:
        self._claimants: defaultdict[Claim, dict[str, str]] = defaultdict(dict)
        self._claims: dict[str, frozenset[Claim]] = {}

    def put(self, key: str, created: str, claims: frozenset[Claim]) -> frozenset[str]:
        """Let a TaskQueue claim these things and no others.

        Args:
            key: ``namespace/name``.
            created: when it was made; sorts by time.

        Returns:
            The other TaskQueues whose own claims this may decide.
        """
        before = self._claims.get(key, frozenset())
        # One that was deleted and made anew while nobody looked is younger than it was.
        older = {one for one in before & claims if self._claimants[one][key] != created}
        changed = (before ^ claims) | older
        if not changed:
            return frozenset()
        concerned = self._others(key, changed)
        for claim in before - claims:
            del self._claimants[claim][key]
            if not self._claimants[claim]:
                del self._claimants[claim]
        for claim in claims:
            self._claimants[claim][key] = created
        if claims:
            self._claims[key] = claims
        else:
            self._claims.pop(key, None)
        return concerned | self._others(key, changed)

    def taken(self, key: str) -> tuple[Claim, str] | None:
        """The first thing that this TaskQueue claims and an older one has, and which."""
        for claim in sorted(self._claims.get(key, ()), key=str):
            claimants = self._claimants[claim]
            owner = min(claimants, key=lambda one: (claimants[one], one))
            if owner != key:
                return claim, owner
        return None

    def _others(self, key: str, claims: frozenset[Claim]) -> frozenset[str]:
        return frozenset(
            other for claim in claims for other in self._claimants.get(claim, ()) if other != key
        )
