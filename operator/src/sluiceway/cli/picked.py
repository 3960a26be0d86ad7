"""Which messages the ids on a command line mean; what is not clear changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

from sluiceway.cli.output import CommandError, ExitCode

T = TypeVar("T")


def check_choice(verb: str, words: Sequence[str], *, every: bool) -> None:
    """A command that changes something says what: some ids, or all of them.

    Raises:
        CommandError: it says neither, or both.
    """
    if bool(words) is every:
        why = "With --all no ids are given" if every else "Name ids of tasks, or write --all"
        raise CommandError(f"{verb} which? {why}")


def picked(
    found: Sequence[T],
    words: Sequence[str],
    id_of: Callable[[T], str],
    *,
    what: str,
    one_each: bool,
) -> list[T]:
    """Those whose ids are named, or begin so; all of them where none is named.

    Args:
        what: what they are called: ``dead letter``.
        one_each: whether how an id begins may mean one task only.

    Raises:
        CommandError: a word means none of them, or several where it must mean one.
    """
    if not words:
        return list(found)
    meant: set[str] = set()
    for word in words:
        if not word:
            raise CommandError("an id is empty: write how it begins, at least")
        ids = {id_of(one) for one in found if id_of(one).startswith(word)}
        if word in ids:
            ids = {word}
        if not ids:
            raise CommandError(f"there is no {what} of {word}", ExitCode.PROBLEMS)
        if one_each and len(ids) > 1:
            raise CommandError(
                f"{len(ids)} ids begin with {word}: write more of the id, or name each of them"
            )
        meant |= ids
    return [one for one in found if id_of(one) in meant]


def tell_none(what: str, where: str) -> None:
    """An empty list looks like a wrong address: say where it was looked for."""
    typer.echo(f"there is no {what} in {where}", err=True)
