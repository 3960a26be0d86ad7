"""The agent of one worker process: puts the parts together and hangs them into Celery.

Data flow: Celery's pool → ``runs`` → ``ledger`` ┐
           kombu's channel → ``intake``          ├→ heartbeat → ``pulse`` → Redis
           orders (lease, signal) → ``drain``    ┘                 │
                     ↑────────────── drain lease ──────────────────┘
"""

from __future__ import annotations

import os
from time import monotonic, time
from typing import Any

import redis
from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.request import Request

from sluiceway_worker import leaving, onward, publish, safe_settings, unstarted, wire
from sluiceway_worker.attentive import hang_up, wait_no_longer
from sluiceway_worker.drain import Drain, turn
from sluiceway_worker.fail_open import FailOpen
from sluiceway_worker.heartbeat import Heartbeat
from sluiceway_worker.identity import Identity
from sluiceway_worker.ledger import Ledger
from sluiceway_worker.orders import Orders
from sluiceway_worker.parking import Parking
from sluiceway_worker.predecessors import look_back
from sluiceway_worker.pulse import Broker, Pulse
from sluiceway_worker.recovery import Place, RecoveryError, recover
from sluiceway_worker.results import InTime, asks
from sluiceway_worker.runs import Runs
from sluiceway_worker.slots import slots_of, take_into_free_slots_only
from sluiceway_worker.tidying import tidying
from sluiceway_worker.transport import TakingChannel, can_be_made, transport_for

logger = get_logger(__name__)

BY_SCRIPT = "atomic"
"""``wire.ENV_TAKE`` says so, or nothing."""

_GREEN_TURN_S = 0.1
"""Where there is no event loop, the pulse's greenlet does the drain's turns itself."""


def install(app: Any, *, free_slots_only: bool = False) -> None:
    """Add the agent to the worker that ``app`` will start in this process.

    Args:
        app: a Celery application.
        free_slots_only: whether the agent is to keep the worker from prefetching.
    """
    publish.connect()
    wait_no_longer()
    onward.connect()
    AgentStep.free_slots_only = free_slots_only
    app.steps["consumer"].add(AgentStep)


class AgentStep(bootsteps.StartStopStep):
    """Celery's side of the agent: created once, started anew for each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    free_slots_only = False

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._agent = Agent(consumer)

    @property
    def draining(self) -> bool:
        """Whether it takes no more: who starts the worker may have to know that of it."""
        return not self._agent.guard.failed and self._agent.drain.closed

    def start(self, consumer: Any) -> None:
        self._agent.guard(self._agent.connected, self.free_slots_only, otherwise=None)

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        self._agent.guard(self._agent.looping, hub, otherwise=None)

    def stop(self, consumer: Any) -> None:
        self._agent.guard(self._agent.drain.detach, otherwise=None)

    def shutdown(self, consumer: Any) -> None:
        self._agent.guard(self._agent.gone, otherwise=None)


class Agent:
    """Everything of ours in one worker's parent process."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.identity = Identity.from_environment()
        self.guard = FailOpen(self._let_go)
        self.ledger = Ledger()
        self.orders = Orders()
        self.pulse = Pulse(
            self.identity.incarnation,
            compose=self._compose,
            on_lease=self._on_lease,
            on_beat=self._heard,
            on_turn=self._on_turn,
            on_moved=self._moved,
            on_error=self.guard.fail,
        )
        pool = consumer.pool
        solo = type(pool).__module__ == "celery.concurrency.solo"
        self.runs = Runs(
            pool,
            self.ledger,
            self.guard,
            changed=self.pulse.poke,
            before_run=(lambda: self.drain.before_run()) if solo else _nothing,
            clock_offset=lambda: self.pulse.clock_offset_s,
        )
        self.drain = Drain(self.orders, self.runs, changed=self.pulse.urge, failed=self.guard.fail)
        self.parking = Parking(self.identity.fleet, self.drain, lambda: self.pulse.clock_offset_s)
        consumer.connection_for_read = self._connection_for_read
        consumer.connection_for_write = self._connection_for_write
        ask = asks(consumer.app)
        self._finished = None if ask is None else InTime(ask)
        self._pass_on = consumer.on_task_request
        consumer.on_task_request = self._admit
        # Where requests for later go; task_received would be sent for each of all tasks.
        self._call_at = consumer.timer.call_at
        consumer.timer.call_at = self._schedule
        self._ready_at: float | None = None
        self._up_since = 0.0
        """When it was, monotonic: a new machine's clock may be set after its first pods start."""
        self._acks = ""
        self._slots = 1
        self._timer: Any = None

    # The worker's life, on the consumer's thread.

    def connected(self, free_slots_only: bool) -> None:
        """There is a connection to the broker, nothing is consumed from it yet."""
        consumer = self.consumer
        if consumer.connection.transport.driver_type != "redis":
            logger.warning("Sluiceway's agent knows Redis brokers only; it does nothing here")
            return
        if free_slots_only:
            take_into_free_slots_only(consumer)
        channel = consumer.task_consumer.channel
        # Without acknowledgements nothing is held, and there are no books to keep.
        by_script = isinstance(channel, TakingChannel) and channel.ack_emulation
        self.drain.attach(consumer, self.identity, by_script=by_script, finished=self._finished)
        if self._ready_at is None:
            self._look_back()
            self._note_ready()
            conf = consumer.app.conf
            self._acks = safe_settings.describe(consumer.app.tasks, conf.task_acks_late)
            leaving.drain_first(self._take_over)
            logger.info("Sluiceway's agent is here: %s", self.identity.incarnation)
        self.pulse.connect(Broker.of_channel(channel))

    def _note_ready(self) -> None:
        self._ready_at, self._up_since = time(), monotonic()

    def _look_back(self) -> None:
        """Before anything is taken: what the container before this one held comes back, and
        what is left of others whom nobody looks after is tidied away."""
        consumer = self.consumer
        channel = consumer.task_consumer.channel
        broker = Broker.of_channel(channel)
        place = Place(broker.prefix, channel.unacked_key, channel.unacked_index_key)
        try:
            look_back(
                broker.client,
                place,
                self.identity,
                now=time(),
                max_deliveries=self.identity.max_deliveries,
                finished=asks(consumer.app),
            )
            recover(broker.client, tidying(place))
        except (redis.RedisError, OSError, RecoveryError) as exc:
            logger.warning("What this pod's last container held is left to others: %s", exc)
        finally:
            broker.client.connection_pool.disconnect()

    def looping(self, hub: Any) -> None:
        """The event loop is about to turn; not called for green pools, which have none."""
        hub.on_tick.add(self._tick)
        # Before the loop's first BRPOP, so that a drain outlives a lost connection.
        hub.call_soon(self._tick)
        if self._timer is not None:
            self._timer.cancel()
        # Older kombu cannot wake its loop from another thread.
        self._timer = hub.call_repeatedly(1.0, self.drain.look)

    def gone(self) -> None:
        """The pool has ended and the last acknowledgement is sent."""
        self.drain.leave()
        self.pulse.stop(say_goodbye=True)

    def _connection_for_read(self, heartbeat: Any = None) -> Any:
        """Celery's way to its broker; what it consumes from can take by script."""
        connection = self.consumer.app.connection_for_read(heartbeat=heartbeat)
        return self._connected(connection, taking=take_wanted() == BY_SCRIPT)

    def _connection_for_write(self, url: Any = None, heartbeat: Any = None) -> Any:
        """Celery's way to its broker for events."""
        connection = self.consumer.app.connection_for_write(url=url, heartbeat=heartbeat)
        return self._connected(connection, taking=False)

    def _connected(self, connection: Any, *, taking: bool) -> Any:
        if not self.guard.failed and can_be_made():
            kombus = connection.get_transport_cls
            connection.get_transport_cls = lambda: transport_for(kombus(), taking=taking)
        return self.consumer.ensure_connected(connection)

    def _moved(self) -> None:
        """On the pulse's thread: the broker's address leads to another server by now. What the
        consumer has is cut, and Celery connects anew."""
        channel = getattr(self.drain.door, "channel", None)
        if channel is not None:
            hang_up(channel)

    def _tick(self) -> None:
        self.guard(self.parking.turn, otherwise=None)
        self.guard(self.drain.tick, otherwise=None)

    def _schedule(self, when: Any, fun: Any, args: Any = (), *rest: Any, **options: Any) -> Any:
        """Celery's way into the timer (``call_at``)."""
        if args and isinstance(args[0], Request):
            self.guard(self.drain.scheduled_for_later, args[0], otherwise=None)
        timer = self._call_at(when, fun, args, *rest, **options)
        if args and isinstance(args[0], Request):
            self.guard(self.parking.scheduled, args[0], timer, otherwise=None)
        return timer

    def _admit(self, request: Request) -> None:
        """Celery's way into the pool (``on_task_request``)."""
        if not self.guard(self.drain.refuse, request, otherwise=False):
            self._pass_on(request)

    def _take_over(self, exit_code: int) -> bool:
        """In the signal handler: whether the worker is stopped by us, once it is drained."""
        if self.guard.failed or self.orders.stopping or not self.drain.attached:
            return False
        self.orders.stop(exit_code)
        self.pulse.urge()
        return True

    def _let_go(self) -> None:
        self.drain.let_go()
        self.pulse.stop(say_goodbye=False)

    # On the pulse's thread.

    def _heard(self, client: redis.Redis) -> None:
        self.drain.heard(client)
        self.parking.heard(client)

    def _on_lease(self, present: bool) -> None:
        self.orders.lease(present, monotonic())
        self._on_turn()

    def _on_turn(self) -> float:
        drain, hub = self.drain, self.consumer.hub
        drain.refresh()
        self.runs.forget_vanished(monotonic())
        if hub is None:
            drain.look()
            self._tick()
            return _GREEN_TURN_S if drain.closed and not drain.drained else wire.HEARTBEAT_EVERY_S
        if drain.closed and not drain.drained:
            hub.call_soon(turn)
        return wire.HEARTBEAT_EVERY_S

    def _compose(self, pulse: Pulse, broker: Broker) -> Heartbeat:
        consumer, identity, drain = self.consumer, self.identity, self.drain
        counts = self.ledger.read(monotonic())
        scheduled = list(drain.scheduled.values())
        waiting = len(state.reserved_requests) - len(state.active_requests)
        self._slots = slots_of(consumer) or self._slots
        return Heartbeat(
            incarnation=identity.incarnation,
            name=identity.name,
            fleet=identity.fleet,
            queues=sorted(consumer.app.amqp.queues.consume_from),
            state=drain.state,
            slots=self._slots,
            active=counts.active,
            reserved=max(0, waiting) + unstarted.rate_limited(consumer),
            scheduled=len(scheduled),
            earliest_eta=min((later.eta for later in scheduled), default=None),
            longest_hold_s=self.parking.longest_hold_s(),
            running_for_s=counts.running_for_s,
            processed=counts.processed,
            failed=counts.failed,
            retried=counts.retried,
            tasks=counts.tasks,
            work=counts.work,
            running=counts.running,
            waits=counts.waits,
            wait_sum_s=counts.wait_sum_s,
            up_s=monotonic() - self._up_since if self._ready_at else 0.0,
            started_in_s=self._ready_at - identity.wished_at if self._ready_at else None,
            visibility_timeout_s=broker.visibility_timeout_s,
            acks=self._acks,
            run_id=pulse.run_id,
            db=broker.db,
            prefix=broker.prefix,
        )


def take_wanted() -> str:
    """How messages are to be taken; another word than ``BY_SCRIPT`` is for kombu's own way."""
    return os.environ.get(wire.ENV_TAKE) or BY_SCRIPT


def _nothing() -> None:
    """What a pool that runs its tasks elsewhere does before a run."""
