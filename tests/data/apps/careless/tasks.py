from celery import Celery

app = Celery("careless")  # finds: acks-not-chosen, not-stamped
app.config_from_object("careless.settings")


class Order:
    id: int


@app.task(acks_late=True, time_limit=2700)  # finds: visibility-timeout, acks-late-lost
def transcode(upload_id: int) -> str:
    return f"{upload_id}.mp4"


@app.task(ignore_result=True)  # finds: no-time-limit
def tidy() -> None:
    pass


@app.task(soft_time_limit=60, time_limit=60)  # finds: soft-limit-above-hard, result-unread
def index(order_id: int) -> None:
    print(order_id)


@app.task(
    autoretry_for=(Exception,), max_retries=None, time_limit=9, ignore_result=True
)  # finds at 2: retry-without-backoff, retry-forever, retry-on-everything
def notify(partner: str) -> None:
    raise ConnectionError(partner)


@app.task(bind=True, time_limit=9, ignore_result=True)
def sync(self, partner: str) -> None:
    try:
        notify(partner)
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=30) from error  # finds: retry-without-backoff


@app.task(
    autoretry_for=(ConnectionError,), retry_backoff=600, retry_backoff_max=3600, time_limit=9,
    max_retries=8, ignore_result=True,
)  # finds at 3: eta-beyond-visibility  # fmt: skip
def remind(order_id: int) -> None:
    print(order_id)


@app.task(time_limit=9, ignore_result=True)
def bill(order: Order) -> None:  # finds: object-parameter
    print(order.id)


@app.task(time_limit=9, ignore_result=True)
def thumbnail(picture: bytes) -> None:  # finds: bytes-parameter
    print(len(picture))


@app.task(serializer="pickle", time_limit=9, ignore_result=True)  # finds: pickle
def archive(order_id: int) -> None:
    print(order_id)


@app.task(time_limit=9, queue="reports")  # finds: unserved-queue
def report(order_id: int) -> str:
    return transcode.delay(order_id).get()  # finds: wait-in-task
