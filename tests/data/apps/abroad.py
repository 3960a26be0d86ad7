"""A second application: what cannot be wrong together with what is in the first."""

from celery import Celery

app = Celery("abroad", broker="amqp://guest@127.0.0.1//")  # finds: broker-not-redis
app.conf.task_time_limit = 60
app.conf.task_acks_late = True  # finds: acks-late-lost


def stamp() -> None:
    """Counts as the stamp: what is looked for is the call."""


stamp()


@app.task
def ping() -> str:
    return "pong"
