"""Every setting of the shop: Celery's own names below, ``SHOP_*`` from the environment.

``tasks.app`` reads this module with ``config_from_object``: a lower-case name is
a Celery setting, an upper-case one is the shop's own.
"""

from __future__ import annotations

import os

from celery.schedules import crontab

SHOP_DATABASE = os.environ.get("SHOP_DATABASE", "shop.sqlite3")
"""The shop's database file. A real shop has a server here; the rules are the same."""

SHOP_URL = os.environ.get("SHOP_URL", "http://127.0.0.1:8000")
"""Where this web app is reached; the stand-ins for other people's services live there too."""

SHOP_RETRY_BASE = int(os.environ.get("SHOP_RETRY_BASE", "60"))
"""Seconds before the first retry; each further one waits twice as long: 60, 120, 240."""

broker_url = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
broker_connection_retry_on_startup = True

# Results are for the page that asks for them, soon after: an hour is plenty.
result_backend = os.environ.get("CELERY_RESULT_BACKEND", broker_url)
result_expires = 3600

# One queue for each kind of waiting that users accept, so that a mail never
# stands behind a two-minute export.
task_routes = {
    f"sluiceway_sample.tasks.{task}": {"queue": queue}
    for task, queue in {
        "export_pdf": "exports",
        "purge_old_exports": "exports",
        "process_video_upload": "videos",
        "send_email": "emails",
        "charge_customer": "billing",
        "weekly_billing_report": "billing",
        "sync_partner": "partners",
    }.items()
}

# The usual limits; tasks that need longer say so themselves. The soft limit raises
# inside the task, so that it can clean up; the hard one ends its process.
task_soft_time_limit = 60
task_time_limit = 90

# Every task bears being run twice, so a message is acknowledged after the run: a worker
# that is killed does not take what it ran along.
task_acks_late = True
task_reject_on_worker_lost = True

timezone = "UTC"
beat_schedule = {
    "purge-old-exports": {
        "task": "sluiceway_sample.tasks.purge_old_exports",
        "schedule": crontab(hour="3", minute="0"),
    },
    "weekly-billing-report": {
        "task": "sluiceway_sample.tasks.weekly_billing_report",
        "schedule": crontab(day_of_week="monday", hour="6", minute="0"),
    },
}
