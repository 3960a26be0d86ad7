"""The words of a decision: short, plain English, with the numbers that led to it.

Two kinds: clauses that follow «12 workers: », and small phrases for numbers. Nothing
is decided here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sluiceway.api.scaling import Schedule
from sluiceway.decide.demand import Demand


def count(number: int, noun: str, plural: str | None = None) -> str:
    """«1 worker», «1 140 tasks»."""
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{whole(number)} {name}"


def whole(number: int) -> str:
    """Thousands are set apart by a space: 1140 → «1 140»."""
    return f"{number:,}".replace(",", " ")


def decimal(number: float, digits: int = 2) -> str:
    """Significant digits, more where they are whole: 0.0314 → «0.031», 231.4 → «231»."""
    return whole(round(number)) if number >= 10 else f"{number:.{digits}g}"


def seconds(duration: float) -> str:
    """A duration as one would say it: «350 ms», «2.1 s», «30 s», «5 min», «2 h»."""
    if duration <= 0:
        return "0 s"
    if duration < 1:
        return f"{decimal(duration * 1000)} ms" if duration >= 0.001 else "under 1 ms"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if duration >= 2 * size:
            return f"{_short(duration / size)} {unit}"
    return f"{_short(duration)} s"


def _short(number: float) -> str:
    return whole(round(number)) if number >= 10 else f"{number:.1f}".removesuffix(".0")


def headline(workers: int, because: str) -> str:
    """The sentence of a decision: «12 workers: …»."""
    return f"{count(workers, 'worker')}: {because}"


def sentence(clause: str) -> str:
    """A clause as a sentence of its own."""
    return f"{clause[:1].upper()}{clause[1:]}."


def moment(at: float, timezone: str) -> str:
    """A time of day in ``timezone``: «04:00»."""
    return datetime.fromtimestamp(at, ZoneInfo(timezone)).strftime("%H:%M")


def tasks(demand: Demand) -> str:
    """«1 140 waiting tasks», «1 140 waiting and 12 running tasks»."""
    running = demand.in_flight or 0
    if not running:
        return count(demand.waiting, "waiting task")
    noun = "task" if running == 1 else "tasks"
    return f"{whole(demand.waiting)} waiting and {whole(running)} running {noun}"


def wait_target(
    demand: Demand, *, run_s: float, rate_per_s: float | None, max_wait_s: float, slots: int
) -> str:
    """Why, where the fleet aims at a wait. ``rate_per_s`` is None where it matters little."""
    parts = []
    if demand.backlog > 0:
        each = " each" if demand.backlog != 1 else ""
        parts.append(f"{tasks(demand)} of {seconds(run_s)}{each}")
        if rate_per_s is not None:
            parts.append(f"{decimal(rate_per_s)} more per second")
    else:
        parts.append(f"{decimal(rate_per_s or 0.0)} tasks per second of {seconds(run_s)} each")
    parts.append(f"{seconds(max_wait_s)} target")
    if demand.oldest_wait_s > max_wait_s:
        bound = "" if demand.oldest_wait_is_exact else "at least "
        parts.append(f"the oldest has waited {bound}{seconds(demand.oldest_wait_s)}")
    parts.append(f"{count(slots, 'slot')} per worker")
    return ", ".join(parts)


def unknown_run_times(demand: Demand, slots: int, most: int | None) -> str:
    """Why, while no run time is known; ``most`` is the bound where it binds."""
    bound = "" if most is None else f", no more than {count(most, 'worker')} until then"
    return f"{tasks(demand)}, run times not known yet{bound}, {count(slots, 'slot')} per worker"


def backlog_target(demand: Demand, per_replica: float) -> str:
    """Why, where the fleet aims at a backlog for each worker."""
    unseen = "" if demand.in_flight is not None else " (running ones are not known)"
    return f"{tasks(demand)}{unseen}, {whole(round(per_replica))} per worker"


def in_flight(demand: Demand) -> str:
    """Nothing waits, something runs, or may."""
    if demand.in_flight is not None:
        verb = "is" if demand.in_flight == 1 else "are"
        return f"nothing waits, {count(demand.in_flight, 'task')} {verb} running"
    if demand.in_flight_bound is not None:
        return (
            f"nothing waits, up to {count(demand.in_flight_bound, 'task')} may be running "
            "(the workers do not report)"
        )
    return "nothing waits, what is running is not known (the workers do not report)"


def held(demand: Demand) -> str:
    """Workers hold tasks for later in their memory."""
    verb = "is" if demand.held == 1 else "are"
    return f"nothing waits, {count(demand.held, 'task')} {verb} held for later"


def due_soon(demand: Demand) -> str:
    """The only waiting messages are about to come due."""
    verb = "comes" if demand.due_soon == 1 else "come"
    return f"{count(demand.due_soon, 'task')} for later {verb} due about when a worker has started"


def nothing_to_do(demand: Demand) -> str:
    """An idle fleet."""
    later = f", {count(demand.later, 'task')} for later" if demand.later else ""
    return f"nothing waits and nothing runs{later}{parked(demand)}"


def parked(demand: Demand) -> str:
    """What was moved aside for later, to follow a clause; "" for nothing."""
    if not demand.parked or demand.next_parked is None:
        return ""
    first = f"{datetime.fromtimestamp(demand.next_parked, UTC):%Y-%m-%d %H:%M} UTC"
    return f", {whole(demand.parked)} parked, the first due at {first}"


def run_times(mean_s: float, deviation_s: float, runs: float) -> str:
    """What is known of run times."""
    if runs < 2:
        return f"one run so far, of {seconds(mean_s)}"
    return (
        f"{seconds(mean_s)} on average over the last {whole(round(runs))} runs "
        f"(standard deviation {seconds(deviation_s)})"
    )


def cooling_down(idle_for_s: float, cooldown_s: float) -> str:
    """The step to zero is still to wait."""
    return f"idle for {seconds(idle_for_s)} of the {seconds(cooldown_s)} before the step to zero"


def stabilized(wanted: int, *, up: bool, window_s: float) -> str:
    """A window holds the number."""
    which = "lowest" if up else "highest"
    return (
        f"{whole(wanted)} needed now, held by the {which} recommendation "
        f"of the last {seconds(window_s)}"
    )


def rate_limited(wanted: int, current: int, *, up: bool) -> str:
    """The policies of ``behavior`` let no larger step go."""
    block, change = ("scaleUp", "added to") if up else ("scaleDown", "taken from")
    return (
        f"behavior.{block} lets no more be {change} {whole(current)} now, "
        f"on the way to {whole(wanted)}"
    )


def within_tolerance(ratio: float, rule: float) -> str:
    """Close enough to change nothing."""
    return (
        f"demand is {decimal(ratio, 3)} times what they are meant for, "
        f"within the tolerance of {decimal(rule)}"
    )


def at_maximum(wanted: int, because: str) -> str:
    """More are needed than allowed."""
    return f"the maximum; {whole(wanted)} would be needed for {because}"


def at_minimum(wanted: int, because: str) -> str:
    """Fewer would do than are to be kept."""
    return f"the minimum; {whole(wanted)} would do ({because})"


def schedule_floor(schedule: Schedule, until: float, wanted: int | None) -> str:
    """A schedule keeps the number up."""
    alone = "" if wanted is None else f"; demand alone asks for {whole(wanted)}"
    return (
        f"the schedule «{schedule.cron}» ({schedule.timezone}) asks for at least "
        f"{whole(schedule.min_replicas)} until {moment(until, schedule.timezone)}{alone}"
    )


def paused(replicas: int | None) -> str:
    """Scaling is paused; ``replicas`` is the number to hold where one is written."""
    return "paused, left as it is" if replicas is None else f"paused, held at {whole(replicas)}"


def draining(more: int, because: str, *, done: int = 0) -> str:
    """Some more are still there, on their way out; ``done`` of them have drained."""
    verb, they, run = ("is", "it", "runs") if more == 1 else ("are", "they", "run")
    if done == 0:
        return f"{because}; {whole(more)} more {verb} to go once {they} {run} nothing"
    return f"{because}; {whole(more)} more {verb} to go, together, and {whole(done)} could by now"


def rolling_out(wanted: int) -> str:
    """Nobody is taken away in the middle of a rollout."""
    return f"a rollout is under way, so none is taken away; {whole(wanted)} would do"


def stuck(wanted: int, why: str) -> str:
    """More workers would not work either."""
    return f"no more are added while they cannot work ({why}); {whole(wanted)} would be needed"


def silent(workers: int) -> str:
    """What silent workers run is not known."""
    if workers == 1:
        return "one worker has fallen silent, and what it runs is not known"
    return f"{whole(workers)} workers have fallen silent, and what they run is not known"


def not_reporting(bound: int | None) -> str:
    """Workers that do not report are kept for what they may be running."""
    if bound is None:
        return "the workers do not report, so what they run is not known and none is taken away"
    return (
        f"the workers do not report and may hold {count(bound, 'unacknowledged message')} "
        "of this database"
    )


def held_unknown(problem: str) -> str:
    """Demand is unknown, so nothing is lowered."""
    return f"{problem}, so none is taken away"


def fallback(problem: str, readings: int, behavior: str, replicas: int) -> str:
    """Demand has been unknown for so long that the fallback holds."""
    return (
        f"fallback «{behavior}» with {whole(replicas)}, since {problem} "
        f"for {count(readings, 'reading')} in a row"
    )


def over_maximum(current: int) -> str:
    """More are there than allowed."""
    return f"the maximum, and {whole(current)} are there"


def minimum_first(wanted: int) -> str:
    """The minimum was raised above the present number."""
    return f"to the minimum at once, then on to {whole(wanted)} as behavior.scaleUp lets it"


def between(low: int, high: int) -> str:
    """The limits."""
    return f"between {whole(low)} and {whole(high)}"


def asked(demand: Demand) -> str:
    """What is asked of the fleet, for the chain."""
    parts = [f"{whole(demand.waiting)} waiting"]
    parts.append(
        "in-flight unknown" if demand.in_flight is None else f"{whole(demand.in_flight)} in flight"
    )
    if demand.held or demand.later:
        parts.append(f"{whole(demand.held + demand.later)} for later")
    if demand.parked:
        parts.append(parked(demand).removeprefix(", "))
    if demand.oldest_wait_s > 0:
        bound = "" if demand.oldest_wait_is_exact else "at least "
        parts.append(f"the oldest has waited {bound}{seconds(demand.oldest_wait_s)}")
    return ", ".join(parts)


def cold_start(seconds_: float, *, measured: bool) -> str:
    """How long a new worker takes, and whether that is known."""
    return f"a new worker takes {seconds(seconds_)}" + ("" if measured else " (assumed)")


def arrivals(rate_per_s: float) -> str:
    """How much arrives."""
    return f"{decimal(rate_per_s)} arrive per second"


def leaving(draining: int, removed: int, recalled: int, *, done: int = 0) -> str:
    """What happens to workers above the number."""
    parts = []
    if draining:
        parts.append(f"{count(draining, 'worker')} asked to drain")
    if removed:
        parts.append(f"{count(removed, 'worker')} may go")
    if done:
        parts.append(f"{count(done, 'worker')} could, and wait for others to go with")
    if recalled:
        parts.append(f"{count(recalled, 'worker')} recalled")
    return ", ".join(parts) or "nobody leaves"
