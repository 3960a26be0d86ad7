"""What a process said last: the reason why it ended, where it gave one."""

from __future__ import annotations

import re
from pathlib import Path

_COUNT = 8

_BANNER = re.compile(r" ?-+ [-*] | ?-{3,}| +\.> ")
"""How a line of the banner begins that Celery greets with. It is no reason for an end."""


def last_lines(log: Path, count: int = _COUNT) -> tuple[str, ...]:
    """The last lines of a process' output that are not empty, the newest last.

    What came before Celery was up, and its banner, are left out once it is.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    up = max((at for at, line in enumerate(lines) if _BANNER.match(line)), default=-1)
    return tuple(lines[up + 1 :][-count:])
