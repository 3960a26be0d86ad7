"""What visitors want, written down as a row before anything is published about it.

The task is then given the row's id. A row that was committed first is there
when the quickest of workers looks for it.
"""

from __future__ import annotations

import time
from typing import Any

from flask import abort, request

from sluiceway_sample.database import connect
from sluiceway_sample.report import MAX_ROWS


def new_row(insert: str, *values: Any) -> int:
    """Run one INSERT, commit, and return the new row's id."""
    with connect() as db:
        row_id = db.execute(insert, values).lastrowid
    assert row_id is not None
    return row_id


def new_export() -> int:
    """Write down the export that the current request asks for; 400 if it makes no sense."""
    rows = request.form.get("rows", default=2000, type=int)
    if not 1 <= rows <= MAX_ROWS:
        abort(400, f"rows must be between 1 and {MAX_ROWS}")
    return new_row("INSERT INTO exports (rows, asked_at) VALUES (?, ?)", rows, time.time())
