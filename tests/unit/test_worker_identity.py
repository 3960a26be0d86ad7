"""Who a worker is, from its environment alone."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from sluiceway_worker.identity import Identity, container, process_started_at
from sluiceway_worker.wire import Holder


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


@pytest.mark.skipif(not container(), reason="the machine does not tell")
def test_only_who_was_given_its_name_says_in_which_container_it_lives() -> None:
    """Of two machines with one host name, none is the other's next start."""
    named = {"SLUICEWAY_FLEET": "shop/video", "SLUICEWAY_NAME": "video-5d9f-x2x"}
    assert Identity.from_environment(named).container == container()
    for missing in named:
        rest = {name: value for name, value in named.items() if name != missing}
        assert Identity.from_environment(rest).container == ""


def test_every_start_is_an_incarnation_of_its_own() -> None:
    same = {"SLUICEWAY_NAME": "w"}
    starts = {Identity.from_environment(same).incarnation for _ in range(20)}
    assert len(starts) == 20


def proc_of(folder: Path, *, boot: str, started: int) -> Path:
    """A /proc in which the first process, of an awkward name, started at that tick."""
    for name in ("sys/kernel/random", "1"):
        (folder / name).mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    fields = " ".join(str(n) for n in range(4, 22))
    (folder / "1/stat").write_text(f"1 (a) b (c) S {fields} {started} 0 0")
    return folder


def test_a_container_that_starts_again_is_another_and_a_process_in_it_is_not(tmp_path) -> None:
    first = container(proc_of(tmp_path / "a", boot="b1", started=10))
    assert first == container(tmp_path / "a")
    assert first != container(proc_of(tmp_path / "b", boot="b1", started=11))
    assert first != container(proc_of(tmp_path / "c", boot="b2", started=10))


def test_where_the_machine_does_not_tell_no_container_is_named(tmp_path) -> None:
    assert container(tmp_path) == ""


def test_what_a_holder_says_of_itself_is_read_as_it_was_written() -> None:
    holder = Holder("shop/video", "b1:10", 1764000000.25)
    assert Holder.from_text(holder.to_text().encode()) == holder
    waits = Holder("shop/video", "b1:10", 1764000000.25, waits="0123456789ab")
    assert Holder.from_text(waits.to_text(connections=3)) == waits
    assert Holder.from_text("shop/video\nb1:10\n1764000000.25\n3") == holder
    assert Holder.from_text("shop/video\nb1:10") == Holder("shop/video", "b1:10")
    assert Holder.from_text(Holder().to_text()) == Holder()
    assert Holder.from_text("shop/video\n\nsoon\nmore") == Holder("shop/video")
