"""Does all that may happen to workers many times under work, and writes down what followed.

    python -m benchmarks.soak                                 a few of each: minutes
    python -m benchmarks.soak --full                          hours; go on with the same command
    python -m benchmarks.soak --rows kills graces --times 30  only these, so often

Each part is a line in ``rows.jsonl`` as soon as it has ended, and ``table.md`` is written anew:
both in ``--folder``. It exits with 1 when a count is there that must be zero.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.common import leaves_in_order, machine
from benchmarks.soak.book import Book, Part
from benchmarks.soak.rows import ROWS, Row

EVENTS = {row.name: row.event for row in ROWS}


def main() -> int:
    options = _arguments()
    try:
        with leaves_in_order():
            return _run(options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(options: argparse.Namespace) -> int:
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    book = Book(options.folder)
    wrong: list[str] = []
    for row in rows:
        if row.needs_nodes and os.geteuid() != 0:
            print(f"{row.name}: left out, its nodes need root", flush=True)
            continue
        try:
            _go_on(row, options.times or (row.full if options.full else row.small), book)
        except Exception:  # the other rows can still be shown
            traceback.print_exc()
            wrong.append(f"{row.name}: ended with an error")
        wrong += _wrong(row, book)
    print(book.write_table(EVENTS, machine()), *wrong, sep="\n")
    return 1 if wrong else 0


def _go_on(row: Row, wanted: int, book: Book) -> None:
    while (done := book.times(row.name)) < wanted:
        part = _part(row, min(row.part, wanted - done), seed=done + 1)
        book.add(part)
        book.write_table(EVENTS, machine())
        print(f"{row.name}: {done + part.times} of {wanted}, {_said(part)}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=", ".join(names))
    parser.add_argument("--full", action="store_true", help="the full counts")
    parser.add_argument("--times", type=int, help="in place of each row's own count")
    parser.add_argument("--folder", type=Path, default=Path("soak-report"))
    return parser.parse_args()


def _part(row: Row, times: int, seed: int) -> Part:
    began = time.monotonic()
    figures = row.run(times, seed)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    took_s = round(time.monotonic() - began, 1)
    return Part(row=row.name, times=times, at=at, took_s=took_s, figures=figures)


def _said(part: Part) -> str:
    counts = {name: one for name, one in part.figures.items() if not isinstance(one, list)}
    return f"{part.took_s} s: {counts}"


def _wrong(row: Row, book: Book) -> list[str]:
    return [
        f"{row.name}, {part.at}: {name} is {part.figures[name]}, and must be 0"
        for part in book.parts(row.name)
        for name in row.never
        if part.figures.get(name)
    ]


if __name__ == "__main__":
    sys.exit(main())
