"""From what a broker and a cluster show to one ``Observation`` per fleet.

``BrokerReader.read`` looks at all brokers at once, and ``Waking.wait`` says when to
look early: that is the only I/O. ``observe`` is pure and makes, from that reading
and from the workers that exist, what ``decide`` is given. What it must remember
from one reading to the next it takes and returns as a ``Memory``.
"""

from sluiceway.observe.assemble import observe
from sluiceway.observe.memory import Memory
from sluiceway.observe.reader import BrokerReader, Reading
from sluiceway.observe.stillness import shows_nothing
from sluiceway.observe.waking import Waking
from sluiceway.observe.watched import RunningWorker, Watched

__all__ = [
    "BrokerReader",
    "Memory",
    "Reading",
    "RunningWorker",
    "Waking",
    "Watched",
    "observe",
    "shows_nothing",
]
