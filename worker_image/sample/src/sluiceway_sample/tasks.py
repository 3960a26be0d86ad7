"""The slow work of the shop, as Celery tasks.

Three habits make them safe to hand to any number of workers:

- They take ids, not objects. A message stays small, and the task reads what is
  true when it runs, not what was true when it was published.
- Doing them twice is harmless. A worker can vanish between the work and its
  acknowledgement, and then somebody else does it again.
- They have time limits, and they retry what is worth retrying, more and more slowly.
"""

from __future__ import annotations

import time

from celery import Celery

import sluiceway_worker
from sluiceway_sample import settings, task_log  # noqa: F401  task_log listens to Celery's signals
from sluiceway_sample.database import connect
from sluiceway_sample.outside import ServiceError, call

app = Celery("shop")
app.config_from_object(settings)
sluiceway_worker.stamp()  # each message says when it was published


@app.task(soft_time_limit=300, time_limit=330)
def export_pdf(export_id: int) -> dict[str, int]:
    """Make a PDF: the CPU-heavy one. Its result is what the page is waiting for."""
    # Imported here, so that workers of the light queues never carry the PDF library.
    from sluiceway_sample.report import export

    return {"export_id": export_id, "bytes": export(export_id)}


@app.task(
    ignore_result=True,
    autoretry_for=(ServiceError,),
    max_retries=3,
    retry_backoff=settings.SHOP_RETRY_BASE,
    retry_jitter=False,
)
def process_video_upload(upload_id: int) -> None:
    """Have a video transcoded; tried again after 60, 120 and 240 s, then given up."""
    call("transcoder")
    with connect() as db:
        db.execute("UPDATE uploads SET processed_at = ? WHERE id = ?", (time.time(), upload_id))


@app.task(ignore_result=True, soft_time_limit=20, time_limit=30)
def send_email(email_id: int) -> None:
    """Send a mail, unless it was sent."""
    with connect() as db:
        unsent = db.execute("SELECT 1 FROM emails WHERE id = ? AND sent_at IS NULL", (email_id,))
        if unsent.fetchone() is None:
            return
    time.sleep(0.2)  # the mail server taking its time
    with connect() as db:
        db.execute("UPDATE emails SET sent_at = ? WHERE id = ?", (time.time(), email_id))


@app.task(ignore_result=True)
def charge_customer(order_id: int, transaction_id: str) -> None:
    """Bill an order, once, however often this runs: the transaction id is UNIQUE.

    Whoever asks for the charge picks the id, before the task is published.
    """
    with connect() as db:
        db.execute(
            "INSERT INTO charges SELECT ?, id, cents, ? FROM orders WHERE id = ?"
            " ON CONFLICT (transaction_id) DO NOTHING",
            (transaction_id, time.time(), order_id),
        )


@app.task(
    ignore_result=True,
    autoretry_for=(ServiceError,),
    max_retries=8,
    retry_backoff=settings.SHOP_RETRY_BASE,
    # Below the visibility timeout (1h): a worker holds a retry until it is due.
    retry_backoff_max=1800,
    retry_jitter=True,
)
def sync_partner(partner: str) -> None:
    """Tell a partner's API, which is down at times, about new orders.

    The jitter spreads the retries: when the API comes back, a thousand tasks that
    failed together must not all return in the same second.
    """
    call("partner")
    with connect() as db:
        db.execute("INSERT OR REPLACE INTO partner_syncs VALUES (?, ?)", (partner, time.time()))


@app.task(ignore_result=True)
def purge_old_exports(days: int = 7) -> None:
    """Forget exports that nobody will fetch any more: every night at three."""
    with connect() as db:
        db.execute("DELETE FROM exports WHERE asked_at < ?", (time.time() - days * 86_400,))


@app.task(ignore_result=True)
def weekly_billing_report() -> None:
    """Mail the sum of last week's charges: every Monday at six."""
    with connect() as db:
        count, cents = db.execute(
            "SELECT COUNT(*), COALESCE(SUM(cents), 0) FROM charges WHERE charged_at > ?",
            (time.time() - 7 * 86_400,),
        ).fetchone()
        email = db.execute(
            "INSERT INTO emails (recipient, subject) VALUES ('billing@shop.example', ?)",
            (f"{count} charges last week, {cents / 100:,.2f} in all",),
        )
    send_email.delay(email.lastrowid)
