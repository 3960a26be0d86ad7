"""Stand-ins for other people's services: a transcoder, which is up, and a partner, which is down.

``PUT /services/partner`` with ``{"up": true}`` mends the partner's API, and its
tasks, which have been retrying, get through.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from sluiceway_sample.database import connect

stand_ins = Blueprint("services", __name__, url_prefix="/services")


@stand_ins.post("/<service>")
def work(service: str) -> Response:
    """204 from a service that is up, 503 from one that is down."""
    with connect() as db:
        row = db.execute("SELECT up FROM services WHERE name = ?", (service,)).fetchone()
    if row is None:
        abort(404)
    return Response(status=204 if row["up"] else 503)


@stand_ins.put("/<service>")
def mend_or_break(service: str) -> Response:
    """``{"up": true}`` or ``{"up": false}``."""
    with connect() as db:
        db.execute("UPDATE services SET up = ? WHERE name = ?", (request.get_json()["up"], service))
    return Response(status=204)
