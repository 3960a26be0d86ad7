"""What a metric is: a name, a help text and labels; declared once, in ``…_metrics``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FLEET_LABELS = ("namespace", "taskqueue")
"""What a series is labelled with, before all else, that tells of a TaskQueue."""

Sample = tuple[tuple[str, ...], float]
"""Label values (of a TaskQueue's metric: those behind ``FLEET_LABELS``), and the number."""


class Kind(StrEnum):
    """The types of Prometheus that are used."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric as it is exposed."""

    name: str
    """With ``_total``, where it is a counter."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
