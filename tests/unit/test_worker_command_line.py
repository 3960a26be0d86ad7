"""Celery's options keep their meaning and find their place; ours are taken out."""

from __future__ import annotations

import pytest

from sluiceway_worker.__main__ import UsageError, split


@pytest.mark.parametrize(
    ("argv", "acks", "before", "after"),
    [
        ("-A tasks", None, "-A tasks", ""),
        ("-A tasks -c 4 -Q video", None, "-A tasks", "-c 4 -Q video"),
        ("-c 4 -A tasks", None, "-A tasks", "-c 4"),
        ("--app=tasks -P gevent", None, "--app=tasks", "-P gevent"),
        ("-Atasks --acks early", "early", "-Atasks", ""),
        ("-A tasks --acks=app -l INFO", "app", "-A tasks", "-l INFO"),
        ("-A tasks worker -c 2", None, "-A tasks", "-c 2"),
        ("-b redis://x/0 --workdir /a -q -E", None, "-b redis://x/0 --workdir /a -q", "-E"),
        ("-A t --autoscale=8,1 --purge", None, "-A t", "--autoscale=8,1 --purge"),
        ("-A t -Q a -n worker", None, "-A t", "-Q a -n worker"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("-") else "",
)
def test_options_are_sorted_into_ours_celerys_and_the_workers(
    argv: str, acks: str | None, before: str, after: str
) -> None:
    assert split(argv.split()) == (acks, before.split(), after.split())


@pytest.mark.parametrize("options", [["--acks", "sometimes"], ["--acks"], ["-D"], ["--detach"]])
def test_an_option_that_cannot_work_is_refused(options: list[str]) -> None:
    with pytest.raises(UsageError):
        split(["-A", "tasks", *options])
