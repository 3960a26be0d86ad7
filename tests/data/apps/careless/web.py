from datetime import UTC, datetime, timedelta
from pathlib import Path

from careless.tasks import Order, archive, bill, remind, report, thumbnail, tidy

DAY = 24 * 60 * 60


class transaction:  # noqa: N801  stands for Django's
    @staticmethod
    def atomic(): ...

    @staticmethod
    def on_commit(then): ...


def home(request, session):
    remind.apply_async((7,), countdown=DAY)  # finds: eta-beyond-visibility
    due = datetime.now(UTC) + timedelta(hours=2)
    remind.apply_async((7,), eta=due)  # finds: eta-beyond-visibility
    remind.apply_async((7,), countdown=60)
    order = session.query.get(7)
    bill.delay(order)  # finds: object-argument
    bill.delay(Order())  # finds: object-argument
    archive.delay(order.id)
    thumbnail.delay(Path("a.png").read_bytes())  # finds: big-payload
    thumbnail.delay(request.body)  # finds: big-payload
    print(tidy.delay().get(timeout=9))  # finds: ignored-result-read
    print(report.delay(7).get(timeout=9))


def order(request):
    with transaction.atomic():
        archive.delay(7)  # finds: publish-in-transaction
        transaction.on_commit(lambda: archive.delay(7))
