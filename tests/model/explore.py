"""Explore worlds of the protocol's model, also larger ones than the tests do.

    python tests/model/explore.py                       # every configuration
    python tests/model/explore.py take --messages 3 --workers 3 --crashes 2
    python tests/model/explore.py today-cut --without settles_after_silence
    python tests/model/explore.py --table               # rows for docs/explanation/protocol.md

Exit code 1 when something that must hold was found not to, 2 when a world has more
states than --at-most.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import cycle, islice
from time import perf_counter

from protocol.checker import TooManyStatesError, explore
from protocol.configurations import CONFIGURATIONS, Configuration
from protocol.rules import Rules
from protocol.state import BEFORE, LETTERS, Mishaps
from protocol.tables import row
from protocol.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = _parser().parse_args(arguments)
    code = 0
    for name in options.configuration or CONFIGURATIONS:
        configuration = CONFIGURATIONS[name]
        world = _enlarged(configuration.world, options)
        code = max(code, _explore(name, configuration, world, options))
    return code


def _explore(
    name: str, configuration: Configuration, world: World, options: argparse.Namespace
) -> int:
    began = perf_counter()
    try:
        found = explore(world, configuration.safety, configuration.goals, at_most=options.at_most)
    except TooManyStatesError as exc:
        print(f"{name}: {exc}; nothing wrong among them, but dead ends were not looked for")
        return 2
    if options.table:
        print(row(name, configuration, found))
    else:
        took = perf_counter() - began
        print(f"{name}: {found.states} states, {found.steps} steps between them, {took:.1f} s")
    if found.counterexample is None:
        return 0
    print(found.counterexample)
    return 1


def _enlarged(world: World, options: argparse.Namespace) -> World:
    messages = world.messages
    if options.messages is not None:
        messages = tuple(islice(cycle(messages), options.messages))
    luck = {
        mishap: getattr(options, mishap)
        for mishap in Mishaps._fields
        if getattr(options, mishap) is not None
    }
    return replace(
        world,
        messages=messages,
        workers=options.workers or world.workers,
        slots=options.slots or world.slots,
        luck=world.luck._replace(**luck),
        rules=world.rules.without(*options.without),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Each number replaces the configuration's own.",
    )
    parser.add_argument(
        "configuration", nargs="*", choices=[*CONFIGURATIONS, []], help="default: all of them"
    )
    parser.add_argument(
        "--messages",
        type=int,
        choices=range(1, len(LETTERS) + 1),
        metavar=f"1..{len(LETTERS)}",
        help="that many, of the configuration's kinds in turn",
    )
    parser.add_argument(
        "--workers", type=int, choices=range(1, len(BEFORE) + 1), metavar=f"1..{len(BEFORE)}"
    )
    parser.add_argument("--slots", type=int, help="tasks at once per worker")
    for mishap in Mishaps._fields:
        parser.add_argument(f"--{mishap.replace('_', '-')}", type=int, help="how many may happen")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[rule.name for rule in fields(Rules)],
        metavar="RULE",
        help="leave out a rule of protocol/rules.py; may be repeated",
    )
    parser.add_argument(
        "--at-most", type=int, default=2_000_000, help="states; default %(default)s"
    )
    parser.add_argument("--table", action="store_true", help="print rows of the page's table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
