"""Where the heartbeat looks for who leads, and when it has the consumer connect anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from sluiceway_worker.pulse import Broker, Pulse


class Address:
    """What a broker's address leads to, for those who connect anew."""

    def __init__(self, leads: str | Exception) -> None:
        self.leads = leads
        self.connection_kwargs: dict[str, Any] = {}
        self.cut = 0

    def connection_class(self) -> Any:
        def answer() -> bytes:
            if isinstance(self.leads, Exception):
                raise self.leads
            return f"# Server\r\nredis_version:7\r\nrun_id:{self.leads}\r\n".encode()

        return SimpleNamespace(
            connect=lambda: None,
            send_command=lambda *words: None,
            read_response=answer,
            disconnect=lambda: None,
        )

    def disconnect(self) -> None:
        self.cut += 1


class Follower:
    def __init__(self, address: Address) -> None:
        self.moves = 0
        self.address = address
        nothing: Any = lambda *_: None  # noqa: E731
        self.pulse = Pulse(
            "w:1",
            compose=nothing,
            on_lease=nothing,
            on_beat=nothing,
            on_turn=lambda: 1.0,
            on_moved=self._moved,
            on_error=nothing,
        )

    def _moved(self) -> None:
        self.moves += 1

    def looks(self, connected_to: str) -> int:
        """How often it has moved after one look by a consumer that is connected there."""
        client: Any = SimpleNamespace(connection_pool=self.address)
        self.pulse._follow(Broker(client, "", 0, 3600.0, connected_to))
        return self.moves


def test_it_goes_where_the_address_leads_by_now() -> None:
    address = Address("second")
    assert Follower(address).looks("first") == 1
    assert address.cut == 1


def test_it_stays_where_the_address_still_leads() -> None:
    assert Follower(Address("first")).looks("first") == 0


@pytest.mark.parametrize(
    "nobody", [redis.ConnectionError("refused"), redis.ResponseError("NOPERM"), OSError("gone")]
)
def test_while_nobody_tells_it_stays(nobody: Exception) -> None:
    assert Follower(Address(nobody)).looks("first") == 0


def test_a_server_that_may_not_be_asked_who_it_is_is_never_left() -> None:
    assert Follower(Address("second")).looks("") == 0


def test_it_follows_two_who_take_over_from_each_other_soon() -> None:
    address = Address("second")
    follower = Follower(address)
    assert follower.looks("first") == 1
    address.leads = "first"
    assert follower.looks("second") == 2


def test_between_two_servers_behind_one_address_it_does_not_go_to_and_fro_for_ever() -> None:
    address = Address("second")
    follower = Follower(address)
    for here, there in (("first", "second"), ("second", "first")) * 5:
        address.leads = there
        moves = follower.looks(here)
    assert moves == 5


def test_while_the_consumer_has_not_connected_anew_it_is_told_again_and_that_is_one_move() -> None:
    address = Address("second")
    follower = Follower(address)
    client: Any = SimpleNamespace(connection_pool=address)
    first = Broker(client, "", 0, 3600.0, "first")
    for _ in range(8):
        follower.pulse._follow(first)
    assert follower.moves == 8
    assert follower.looks("third") == 9
