"""The light web app: it writes down what is wanted, publishes a task, and answers.

No request does slow work. «202 Accepted» carries the task's id, and a Location
where its result can be asked for.
"""

from __future__ import annotations

import uuid
from typing import Any

from celery.result import AsyncResult
from flask import Flask, Response, abort, jsonify, render_template, request, url_for
from kombu.exceptions import OperationalError

from sluiceway_sample import tasks
from sluiceway_sample.before import before
from sluiceway_sample.database import connect
from sluiceway_sample.stand_ins import stand_ins
from sluiceway_sample.wanted import new_export, new_row

web = Flask(__name__)
web.register_blueprint(before)
web.register_blueprint(stand_ins)


@web.get("/")
def home() -> str:
    """The light page: what a visitor sees, and what must stay quick."""
    return render_template("home.html")


@web.post("/exports")
def ask_for_export() -> Response:
    """Form field ``rows``: how long the report is to be."""
    return accepted(tasks.export_pdf.delay(new_export()))


@web.get("/exports/<int:export_id>.pdf")
def fetch_export(export_id: int) -> Response:
    """The PDF, or 404 until it is made."""
    with connect() as db:
        row = db.execute("SELECT pdf FROM exports WHERE id = ?", (export_id,)).fetchone()
    if row is None or row["pdf"] is None:
        abort(404)
    return Response(row["pdf"], mimetype="application/pdf")


@web.post("/uploads")
def upload_video() -> Response:
    """The request's body is the video."""
    upload_id = new_row("INSERT INTO uploads (video) VALUES (?)", request.get_data())
    return accepted(tasks.process_video_upload.delay(upload_id))


@web.post("/emails")
def write_email() -> Response:
    """Form fields ``recipient`` and ``subject``."""
    email_id = new_row(
        "INSERT INTO emails (recipient, subject) VALUES (?, ?)",
        request.form["recipient"],
        request.form["subject"],
    )
    return accepted(tasks.send_email.delay(email_id))


@web.post("/charges")
def charge() -> Response:
    """Form field ``order_id``; a client that sends the same Idempotency-Key again pays once."""
    transaction_id = request.headers.get("Idempotency-Key") or uuid.uuid4().hex
    return accepted(tasks.charge_customer.delay(int(request.form["order_id"]), transaction_id))


@web.post("/partners/<partner>/sync")
def tell_partner(partner: str) -> Response:
    """Have a partner told about new orders, as soon as its API answers."""
    return accepted(tasks.sync_partner.delay(partner))


@web.get("/tasks/<task_id>")
def task(task_id: str) -> Response:
    """Where a task stands, and its result once there is one (kept for an hour)."""
    with connect() as db:
        run = db.execute(
            "SELECT task, event, outcome FROM task_runs WHERE task_id = ? ORDER BY rowid DESC",
            (task_id,),
        ).fetchone()
    if run is None:
        abort(404)
    answer: dict[str, Any] = {"task_id": task_id, **run}
    if run["outcome"] == "SUCCESS":
        answer["result"] = result = AsyncResult(task_id, app=tasks.app).result
        if result and "export_id" in result:
            answer["pdf"] = url_for("fetch_export", export_id=result["export_id"])
    return jsonify(answer)


@web.errorhandler(OperationalError)
def broker_is_down(_: OperationalError) -> tuple[str, int]:
    """The one thing that can go wrong with publishing; the visitor may try again."""
    return "Cannot take orders at the moment, please try again.\n", 503


def accepted(published: AsyncResult) -> Response:
    """202: somebody will do it, and here is where to ask."""
    response = jsonify(task_id=published.id)
    response.status_code = 202
    response.headers["Location"] = url_for("task", task_id=published.id)
    return response
