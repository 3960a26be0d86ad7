"""The drain leases of one fleet, set on its broker."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sluiceway.broker.commands import forget_workers, hold_leases
from sluiceway.broker.connection import Broker
from sluiceway.broker.parked import release_due, stand_by


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerLeases:
    """Asks and recalls in one round trip."""

    broker: Broker
    prefix: str
    """The application's key prefix."""
    asker: str
    """Who asks, for whoever looks at the key."""
    epoch: int = 0
    """Of the asker's leadership; 0 where nobody else could lead."""

    async def set(self, *, hold: Collection[str], recall: Collection[str]) -> None:
        """Ask some to drain and recall others.

        Raises:
            BrokerError: not all of it was done; the next tick does it again.
        """
        await hold_leases(
            self.broker,
            prefix=self.prefix,
            asker=self.asker,
            epoch=self.epoch,
            hold=hold,
            withdraw=recall,
        )

    async def forget(self, incarnations: Collection[str]) -> None:
        """Take incarnations that are gone off the list of workers.

        Raises:
            BrokerError: it could not be done; the next tick finds them again.
        """
        await forget_workers(self.broker, prefix=self.prefix, incarnations=incarnations)

    async def stand_by(self, fleets: Collection[str]) -> None:
        """Say that these fleets will be started in time, so that their workers may park.

        Raises:
            BrokerError: not all of it was done; it is said again.
        """
        await stand_by(self.broker, prefix=self.prefix, fleets=fleets, asker=self.asker)

    async def release(self, lists: Collection[str], until: float) -> None:
        """Bring back the parked messages of these lists that are due at ``until``.

        Raises:
            BrokerError: not all of it was done; the next tick finds them again.
        """
        await release_due(self.broker, prefix=self.prefix, lists=lists, until=until)
