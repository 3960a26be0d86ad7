"""Who may stop a worker from taking work, and for how long their word holds."""

from __future__ import annotations

from sluiceway_worker.orders import Orders


def test_without_a_word_the_worker_takes_tasks() -> None:
    assert not Orders().closed(now=0.0)


def test_a_lease_holds_as_long_as_it_is_seen() -> None:
    orders = Orders(lease_ttl_s=15)
    for now in (0.0, 10.0, 20.0, 30.0):
        orders.lease(present=True, now=now)
        assert orders.closed(now=now + 14)
    orders.lease(present=False, now=31.0)
    assert not orders.closed(now=31.0)


def test_a_lease_that_cannot_be_read_any_more_ends_with_its_lifetime() -> None:
    orders = Orders(lease_ttl_s=15)
    orders.lease(present=True, now=100.0)
    assert orders.closed(now=114.9)
    assert not orders.closed(now=115.0)


def test_an_order_to_stop_outlives_every_lease() -> None:
    orders = Orders(lease_ttl_s=15)
    orders.lease(present=True, now=0.0)
    orders.stop(exit_code=0)
    orders.lease(present=False, now=1.0)
    assert orders.stopping
    assert orders.closed(now=1_000.0)
