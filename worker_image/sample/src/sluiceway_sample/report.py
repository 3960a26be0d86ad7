"""The export: a report on the shop's latest orders, as a real PDF.

It is as heavy as real ones are, for the same reason: a thousand table rows are
about a second of one core, and nothing but more cores makes them quicker.
"""

from __future__ import annotations

from fpdf import FPDF

from sluiceway_sample.database import connect

MAX_ROWS = 25_000
"""As many as the shop has orders."""

ROWS = """
    SELECT orders.id, placed_on, name, cents, SUM(cents) OVER (ORDER BY orders.id) AS total
    FROM orders JOIN customers ON customers.id = customer_id
    ORDER BY orders.id
    LIMIT ?
"""


def make_pdf(rows: int) -> bytes:
    """The report on that many orders, each with the running total up to it."""
    with connect() as db:
        orders = db.execute(ROWS, (rows,)).fetchall()

    pdf = FPDF()
    pdf.set_title(f"{rows} orders")
    pdf.set_font("helvetica", size=9)
    pdf.add_page()
    with pdf.table(col_widths=(1, 2, 3, 2, 2), text_align=("R", "L", "L", "R", "R")) as table:
        table.row(("Order", "Placed on", "Customer", "Amount", "Total"))
        for order in orders:
            table.row(
                (
                    str(order["id"]),
                    order["placed_on"],
                    order["name"],
                    _euros(order["cents"]),
                    _euros(order["total"]),
                )
            )
    return bytes(pdf.output())


def export(export_id: int) -> int:
    """Make the PDF of one row of ``exports``, keep it there, and return its size in bytes.

    Doing it twice replaces the PDF by an equal one.

    Raises:
        LookupError: there is no such export (any more).
    """
    with connect() as db:
        asked = db.execute("SELECT rows FROM exports WHERE id = ?", (export_id,)).fetchone()
    if asked is None:
        raise LookupError(f"no export {export_id}")
    pdf = make_pdf(asked["rows"])
    with connect() as db:
        db.execute("UPDATE exports SET pdf = ? WHERE id = ?", (pdf, export_id))
    return len(pdf)


def _euros(cents: int) -> str:
    return f"{cents / 100:,.2f}"
