"""``sluiceway-worker -A app …``: the application's own worker, with safe settings and the agent.

It is Celery's ``celery -A app worker …`` in the same process; what is not ours is passed on.
The order of things matters: green pools patch the standard library before anything is
imported, and Celery's defaults change before the application is.
"""

from __future__ import annotations

import os
import signal
import sys

from sluiceway_worker import wire

USAGE = """\
Usage: sluiceway-worker -A APP [--acks late|early|app] [any option of `celery worker`]

Starts Celery's worker for APP with settings under which workers may come and go, unless
APP sets them itself, and with Sluiceway's agent (heartbeat, publish stamp, drain).

  --acks   late: acknowledge after the run (the default); early: before it; app: leave every
           acknowledgement setting as APP has it. Also: SLUICEWAY_ACKS in the environment.
"""

_GLOBAL_WITH_VALUE = (
    "-A",
    "--app",
    "-b",
    "--broker",
    "--result-backend",
    "--loader",
    "--config",
    "--workdir",
)
_GLOBAL_FLAGS = ("-C", "--no-color", "-q", "--quiet", "--version", "--skip-checks")
_ACKS_VALUES = ("late", "early", "app")


class UsageError(Exception):
    """The command line cannot be meant; the message says what to write instead."""


def split(argv: list[str]) -> tuple[str | None, list[str], list[str]]:
    """Sort arguments into (acks, options of ``celery``, options of ``celery worker``).

    Celery takes its global options before the command only. The word ``worker`` itself may
    be given and is ignored, as habit has it.

    Raises:
        UsageError: an option that cannot work here.
    """
    acks: str | None = None
    before: list[str] = []
    after: list[str] = []
    rest = iter(argv)
    for word in rest:
        name, has_value, value = word.partition("=")
        if name == "--acks":
            acks = value if has_value else next(rest, "")
        elif word in _GLOBAL_FLAGS or (has_value and name in _GLOBAL_WITH_VALUE):
            before.append(word)
        elif word in _GLOBAL_WITH_VALUE:
            before += [word, next(rest, "")]
        elif word.startswith("-A"):
            before.append(word)
        elif word in ("-D", "--detach"):
            raise UsageError(f"{word} is not supported: let what starts the worker detach it")
        elif word != "worker" or after:
            after.append(word)
    if acks is not None and acks not in _ACKS_VALUES:
        raise UsageError(f"--acks is {acks!r}: write one of {', '.join(_ACKS_VALUES)}")
    return acks, before, after


def main() -> None:
    """The console script; ends with the exit code of Celery's worker, 2 for a wrong option."""
    # Celery listens later. A container's first process is not ended by a signal that it has
    # no handler for: told to go before it has taken anything, it would work on unasked.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        acks, before, after = split(sys.argv[1:])
        acks = acks or os.environ.get(wire.ENV_ACKS) or "late"
        if acks not in _ACKS_VALUES:
            raise UsageError(f"{wire.ENV_ACKS} is {acks!r}: write one of {', '.join(_ACKS_VALUES)}")
    except UsageError as exc:
        sys.exit(_complain(f"sluiceway-worker: {exc}"))
    if "--help" in after:
        sys.stdout.write(USAGE + "\n")
    # A restart by SIGHUP runs this command line again.
    sys.argv[1:] = [*before, "worker", *after]
    os.environ[wire.ENV_ACKS] = acks

    from celery import maybe_patch_concurrency

    maybe_patch_concurrency()

    from sluiceway_worker.launch import prepare

    prepare(acks)

    from celery.bin.celery import main as celery_main

    sys.exit(celery_main())


def _complain(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 2


if __name__ == "__main__":
    main()
