"""The report of a show, as files in a folder: a page, pictures, the figures, the database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sluiceway.demo import summary
from sluiceway.demo.charts import charts_of
from sluiceway.demo.figures import Figures
from sluiceway.demo.front import front
from sluiceway.demo.page import page
from sluiceway.demo.picture import draw
from sluiceway.demo.recording import Recording


def write_report(
    show: Recording, figures: Figures, database: Path, target: Path
) -> tuple[Path, ...]:
    """Write all files, in place of those of an earlier show; the first one is the page.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    charts = charts_of(show)
    html = target / "index.html"
    html.write_text(page(show, figures, charts), encoding="utf-8")
    png = target / "picture.png"
    draw(charts, "".join(summary.headline(figures)), summary.sizes(show), png)
    small = target / "picture.svg"
    small.write_text(front(charts, "".join(summary.headline(figures))), encoding="utf-8")
    numbers = target / "figures.json"
    numbers.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    queues = target / "queues.yaml"
    queues.write_text(show.queues_yaml, encoding="utf-8")
    rows = target / "shop.sqlite3"
    _copy(database, rows)
    _add_what_was_measured(show, rows)
    return html, png, small, numbers, queues, rows


def _copy(database: Path, copy: Path) -> None:
    """A copy of a database that others may have open, as one file."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _add_what_was_measured(show: Recording, database: Path) -> None:
    """Beside the shop's own tables, every single measurement that the figures are made of."""
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE visits (act TEXT, kind TEXT, sent_at, took_s, pdf_s, ok)")
        for name, act in (("before", show.before), ("after", show.after)):
            db.executemany(
                "INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (name, v.kind, v.sent_at, v.took_s, v.pdf_s, v.ok)
                    for v in (*act.pages, *act.clicks, *act.mails)
                ),
            )
        db.execute("CREATE TABLE workers (fleet TEXT, at, asked, running, consuming)")
        for fleet in show.fleets:
            db.executemany(
                "INSERT INTO workers VALUES (?, ?, ?, ?, ?)",
                ((fleet.name, s.at, s.asked, s.running, s.consuming) for s in fleet.samples),
            )
