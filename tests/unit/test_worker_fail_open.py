"""An error inside the agent costs the worker nothing but the agent."""

from __future__ import annotations

import logging

import pytest

from sluiceway_worker.fail_open import FailOpen


def test_the_first_error_is_logged_once_and_then_every_call_is_passed_by(
    caplog: pytest.LogCaptureFixture,
) -> None:
    released: list[str] = []
    guard = FailOpen(lambda: released.append("released"))
    calls: list[int] = []

    def fragile(n: int) -> str:
        calls.append(n)
        raise ZeroDivisionError

    assert guard(lambda: "fine", otherwise="plain") == "fine"
    with caplog.at_level(logging.ERROR):
        assert guard(fragile, 1, otherwise="plain") == "plain"
        assert guard(fragile, 2, otherwise="plain") == "plain"
        assert guard(lambda: "fine", otherwise="plain") == "plain"
    assert calls == [1]
    assert released == ["released"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_what_ends_the_worker_is_not_an_error_of_the_agent() -> None:
    guard = FailOpen(lambda: None)

    def shut_down() -> None:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        guard(shut_down, otherwise=None)
    assert not guard.failed
