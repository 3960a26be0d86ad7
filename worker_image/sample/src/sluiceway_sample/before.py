"""The way it was: the export is made inside the request.

Kept to show what goes wrong. While the export is computed, one of ten web workers
serves nobody else; ten impatient clicks, and the whole site stands still.
"""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug import Response

from sluiceway_sample.report import export
from sluiceway_sample.wanted import new_export

before = Blueprint("before", __name__)


@before.post("/exports/inline")
def export_inline() -> Response:
    """Make the visitor wait for the PDF, and everybody else for the visitor."""
    export_id = new_export()
    export(export_id)
    return redirect(url_for("fetch_export", export_id=export_id), code=303)
