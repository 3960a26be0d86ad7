"""What CEL cannot see: names, cron expressions, time zones, templates, quantities.

An API server takes these as they come; the operator and local mode look at them with
the code of this module, at the same call as the rules, and say the same sentences.
``ADVICE`` is of the same make, for what is allowed and probably not meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from sluiceway.api.duration import parse_duration
from sluiceway.api.problem import Problem, Why, child, entry, redact
from sluiceway.api.quantity import parse_quantity
from sluiceway.api.structure import nearest
from sluiceway.api.template import template_advice, template_problems

CELERYS_VISIBILITY_TIMEOUT_S = 3600.0
"""What Celery takes on Redis where the application says nothing."""

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """Looks at every node at one place; not asked while anything there is malformed."""

    at: str
    find: Callable[[str, Any], Iterator[Problem]]
    """From (path, node) to what is wrong there."""
    cluster_only: bool = False


def _name(path: str, name: str) -> Iterator[Problem]:
    # An API server checks names itself; on a laptop nobody else does.
    if not _DNS_NAME.fullmatch(name):
        mended = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "exports"
        yield Problem(
            path=path,
            message=f"must be lower-case letters, digits, dashes and dots: write {mended}",
            value=name,
        )


def _cron(path: str, cron: str) -> Iterator[Problem]:
    if len(cron.split()) != 5:
        return  # a rule has said so
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        part = str(error).removeprefix("Bad ").replace("day-of-month", "day of the month")
        yield Problem(
            path=path,
            message=(
                f"the {part.replace('day-of-week', 'day of the week')} cannot be read or never "
                'comes: write a number, a range 1-5, a list 1,3 or a step */15, as in "0 2 * * 1-5"'
            ),
            value=cron,
        )


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _timezone(path: str, zone: str) -> Iterator[Problem]:
    if zone not in _zones():
        meant = nearest(zone, _zones())
        mend = f"did you mean {meant}?" if meant else "write a name such as Europe/Paris or UTC"
        yield Problem(
            path=path,
            message=f"is not a time zone of the IANA database: {mend}",
            value=zone,
            meant=meant,
        )


def _resources(path: str, resources: dict[str, Any]) -> Iterator[Problem]:
    limits = resources.get("limits", {})
    for name, requested in resources.get("requests", {}).items():
        if name in limits and parse_quantity(requested) > parse_quantity(limits[name]):
            yield Problem(
                path=entry(child(path, "requests"), name),
                message=(
                    f"requests ({requested}) must not be above limits ({limits[name]}): lower "
                    "requests or raise limits"
                ),
                value=requested,
                names_value=True,
            )


CHECKS: dict[str, tuple[Check, ...]] = {
    "TaskQueue": (
        Check(at="metadata.name", find=_name),
        Check(at="spec.scaling.schedules[*].cron", find=_cron),
        Check(at="spec.scaling.schedules[*].timezone", find=_timezone),
        Check(at="spec.worker.template", find=template_problems),
    ),
    "WorkerClass": (
        Check(at="metadata.name", find=_name),
        Check(at="spec.resources", find=_resources),
    ),
}


def _no_broker(path: str, spec: dict[str, Any]) -> Iterator[Problem]:
    if "url" not in spec["broker"] and "urlFrom" not in spec["broker"]:
        yield Problem(
            why=Why.ADVICE,
            path=child(path, "broker"),
            message=(
                "no address is given, which only local mode can do without: write url, or "
                "urlFrom: {env: CELERY_BROKER_URL}, before this goes to a cluster"
            ),
        )


def _password(path: str, url: str) -> Iterator[Problem]:
    if redact(url) != url and re.search(r"://[^@]*:[^@]+@", url):
        yield Problem(
            why=Why.ADVICE,
            path=path,
            message=(
                "a password stands in plain text here: put the address into a Secret and write "
                "urlFrom.secretKeyRef"
            ),
            value=redact(url),
        )


def _unknown_visibility(path: str, spec: dict[str, Any]) -> Iterator[Problem]:
    longest = spec.get("worker", {}).get("longestTask", "0s")
    if "visibilityTimeout" in spec["broker"]:
        return
    if parse_duration(longest) >= CELERYS_VISIBILITY_TIMEOUT_S:
        yield Problem(
            why=Why.ADVICE,
            path=child(child(path, "broker"), "visibilityTimeout"),
            message=(
                f"is not given, and Celery's own 1h is not above longestTask ({longest}), so that "
                "a long task is delivered twice: set it above longestTask, here and in the "
                "application"
            ),
        )


def _floors(path: str, scaling: dict[str, Any]) -> Iterator[Problem]:
    most = scaling["maxReplicas"]
    for index, schedule in enumerate(scaling.get("schedules", ())):
        if schedule["minReplicas"] > most:
            yield Problem(
                why=Why.ADVICE,
                path=child(child(child(path, "schedules"), index), "minReplicas"),
                message=(
                    f"minReplicas ({schedule['minReplicas']}) is above maxReplicas ({most}), "
                    "which holds: lower it or raise maxReplicas"
                ),
                value=schedule["minReplicas"],
                names_value=True,
            )


ADVICE: dict[str, tuple[Check, ...]] = {
    "TaskQueue": (
        Check(at="spec", find=_no_broker, cluster_only=True),
        Check(at="spec.broker.url", find=_password),
        Check(at="spec", find=_unknown_visibility),
        Check(at="spec.scaling", find=_floors),
        Check(at="spec.worker.template", find=template_advice),
    ),
    "WorkerClass": (),
}
"""Allowed, and probably not meant: told, and never a reason to refuse."""
