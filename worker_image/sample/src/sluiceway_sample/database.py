"""The shop's database: one SQLite file that web processes and workers share.

``connect`` is all there is. A thread of a process keeps its connection, because
opening and closing one costs more than most of what the shop asks; a process
that was forked, gunicorn's or the worker pool's, opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from sluiceway_sample import settings

PATIENCE_S = 30
"""How long one writer waits for another before it gives up."""

_mine = threading.local()


@contextmanager
def connect() -> Iterator[sqlite3.Connection]:
    """One transaction: committed at the end of the block, rolled back if it raises.

    The first connection ever creates the tables. Blocks do not nest.

    Raises:
        sqlite3.OperationalError: the file cannot be opened, or stayed locked too long.
    """
    owner = (os.getpid(), settings.SHOP_DATABASE)
    if getattr(_mine, "owner", None) != owner:
        _mine.connection, _mine.owner = _open(settings.SHOP_DATABASE), owner
    with _mine.connection:
        yield _mine.connection


def _open(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE_S)
    db.row_factory = sqlite3.Row
    # Readers and the one writer do not block each other, and a commit is safe
    # against a crash of the process without waiting for the disk.
    _use_wal(db)
    db.execute("PRAGMA synchronous = NORMAL")
    with db:
        db.execute("BEGIN EXCLUSIVE")
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            _create_tables(db)
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """SQLite does not wait here itself where another connection does the same right now."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create_tables(db: sqlite3.Connection) -> None:
    """Statement by statement: ``executescript`` would commit first and let go of the lock."""
    statement = ""
    schema = files("sluiceway_sample").joinpath("schema.sql").read_text()
    for line in schema.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    db.execute("PRAGMA user_version = 1")
