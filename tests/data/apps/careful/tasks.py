from datetime import timedelta
from decimal import Decimal
from typing import Literal

from celery import Celery, chord

import sluiceway_worker

app = Celery("careful", broker="redis://127.0.0.1:6379/0", backend="redis://127.0.0.1:6379/0")
app.conf.update(
    broker_transport_options={"visibility_timeout": 4 * 60 * 60},
    result_expires=timedelta(hours=1),
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=60,
    task_time_limit=90,
    task_ignore_result=True,
    beat_schedule={"tidy": {"task": "careful.tasks.tidy", "schedule": 3600}},
)
sluiceway_worker.stamp()
OrderId = int


@app.task(autoretry_for=(ConnectionError,), retry_backoff=60, retry_backoff_max=3600, max_retries=8)
def notify(partner: str, kind: Literal["new", "gone"] = "new") -> None:
    print(partner, kind)


@app.task(bind=True)
def sync(self, order_id: OrderId, amount: Decimal) -> None:
    try:
        notify("partner")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=30 * 2**self.request.retries) from error


@app.task(ignore_result=False)
def page(number: int) -> int:
    return number


@app.task
def bind(pages: list[int]) -> None:
    print(pages)


@app.task
def tidy() -> None:
    # A day is meant: the row is written down, and this only looks again soon.
    tidy.apply_async(countdown=3 * 60 * 60)
    chord(page.s(number) for number in range(9))(bind.s())


@app.task
def weekly() -> None:
    tidy.apply_async(countdown=86_400)  # sluiceway: ignore[eta-beyond-visibility] looked at
    # sluiceway: ignore[eta-beyond-visibility] sent once a week, and twice does no harm
    tidy.apply_async(countdown=604_800)
