"""Looking after the dead of many fleets: what one broker does is no other one's trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sluiceway.act.recoveries import Charge, Recoveries
from sluiceway.broker.address import parse_address
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.holders import Cause
from sluiceway_worker.recovery import Recovered


class Broker:
    """Has nobody who holds anything and one dead letter of each fleet, or raises."""

    address = parse_address("redis://redis:6379/0")

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def run(self, batch: list[Any]) -> list[Any]:
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [{}, *(1 for _ in batch[1:])]


class Told:
    def __init__(self) -> None:
        self.letters: list[str] = []

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None: ...

    def dead_letters(self, fleet: str, count: int, untold: int) -> None:
        self.letters.append(fleet)


def charge(key: str, broker: Any) -> Charge:
    return Charge(
        key=key,
        broker=broker,
        prefix="",
        max_deliveries=3,
        silent_after_s=600.0,
        ends=lambda: (),
    )


async def test_a_defect_that_one_broker_meets_is_told_and_the_others_are_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    recoveries = Recoveries(told)
    recoveries.put(charge("shop/broken", Broker(UnicodeError("what is that?"))))
    recoveries.put(charge("shop/well", Broker()))

    await recoveries.look()

    assert told.letters == ["shop/well"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "shop/broken: what dead workers hold cannot be looked at: what is that?"
    )
    assert record.exc_info


@pytest.mark.parametrize("error", [None, BrokerError("it does not answer")], ids=repr)
async def test_of_a_fleet_that_goes_while_its_broker_is_asked_nothing_stays(
    error: Exception | None,
) -> None:
    told, broker = Told(), Broker(error)
    recoveries = Recoveries(told)
    recoveries.put(charge("shop/video", broker))
    broker.gate.clear()
    looking = asyncio.create_task(recoveries.look())
    await broker.asked.wait()

    recoveries.drop("shop/video")
    broker.gate.set()
    await looking

    assert told.letters == []
    assert "shop/video" not in str(vars(recoveries))
    await recoveries.look()
    assert str(broker) not in str(vars(recoveries))
