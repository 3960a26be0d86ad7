"""Who a worker is, from its environment alone."""

from __future__ import annotations

import socket
import time

import pytest

from sluiceway_worker.identity import Identity, process_started_at


def test_the_environment_names_fleet_worker_and_the_wish_for_it() -> None:
    identity = Identity.from_environment(
        {
            "SLUICEWAY_FLEET": "shop/video",
            "SLUICEWAY_NAME": "video-5d9f-x2x",
            "SLUICEWAY_STARTED_AT": "1764000000.5",
        }
    )
    assert identity.fleet == "shop/video"
    assert identity.name == "video-5d9f-x2x"
    assert identity.wished_at == 1764000000.5
    assert identity.incarnation.startswith("video-5d9f-x2x:")


@pytest.mark.parametrize("wished", [{}, {"SLUICEWAY_STARTED_AT": "soon"}], ids=["none", "no time"])
def test_without_it_the_host_and_the_process_itself_say_so(wished: dict[str, str]) -> None:
    identity = Identity.from_environment(wished)
    assert identity.fleet == ""
    assert identity.name == socket.gethostname()
    assert identity.wished_at == pytest.approx(process_started_at(), abs=1)
    assert time.time() - process_started_at() > 0


def test_every_start_is_an_incarnation_of_its_own() -> None:
    same = {"SLUICEWAY_NAME": "w"}
    starts = {Identity.from_environment(same).incarnation for _ in range(20)}
    assert len(starts) == 20
