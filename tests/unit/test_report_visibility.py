"""A visibility timeout that is too short is told, whosever it is."""

from __future__ import annotations

from sluiceway.report.visibility import Timeouts


def test_a_neighbour_with_a_shorter_one_is_named() -> None:
    timeouts = Timeouts()
    timeouts.hear("shop/video", "here", 10_800.0)
    timeouts.hear("shop/mail", "here", 3_600.0)
    (warning,) = timeouts.warnings("shop/video", 600.0)
    assert "shop/mail" in warning
    assert timeouts.warnings("shop/mail", 600.0) == ()


def test_one_on_another_database_or_prefix_is_no_neighbour() -> None:
    timeouts = Timeouts()
    timeouts.hear("shop/video", ("db0", ""), 10_800.0)
    timeouts.hear("shop/mail", ("db0", "mail:"), 60.0)
    assert timeouts.warnings("shop/video", 600.0) == ()
    timeouts.hear("shop/mail", ("db0", ""), 60.0)
    assert len(timeouts.warnings("shop/video", 600.0)) == 1
    timeouts.forget("shop/mail")
    assert timeouts.warnings("shop/video", 600.0) == ()


def test_one_that_is_not_above_the_longest_task_is_told() -> None:
    timeouts = Timeouts()
    timeouts.hear("shop/video", "here", 3_600.0)
    (warning,) = timeouts.warnings("shop/video", 3_600.0)
    assert "worker.longestTask" in warning
    assert timeouts.warnings("shop/video", 3_599.0) == ()


def test_while_no_worker_says_it_nothing_is_told() -> None:
    timeouts = Timeouts()
    timeouts.hear("shop/video", "here", None)
    assert timeouts.warnings("shop/video", 1e9) == ()
    timeouts.hear("shop/video", "here", 60.0)
    timeouts.hear("shop/video", "here", None)
    assert len(timeouts.warnings("shop/video", 600.0)) == 1
