"""Kubernetes quantities («500m», «2Gi», 4), kept as text and compared exactly.

A quantity may be written as a whole number or as text. A number with a point is
neither for Kubernetes (the type is int-or-string), so the mend is to quote it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from sluiceway.api.rule import Rule

PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"

_FORM = re.compile(PATTERN)
_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}


def is_quantity(value: Any) -> bool:
    """Whether ``value`` is a quantity of zero or more, as text or as a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value >= 0
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


FORM = Rule(
    name="a quantity is a number with a suffix that Kubernetes knows",
    cel=f"type(self) == int ? self >= 0 : self.matches('{PATTERN.replace(chr(92), chr(92) * 2)}')",
    holds=is_quantity,
    sentence=(
        "is not a quantity: write a whole number such as 2, or in quotes a number with one of "
        'the suffixes m, k, M, G, T, Ki, Mi, Gi, Ti, such as "500m", "0.5" or "2Gi"'
    ),
)


def parse_quantity(value: str | int) -> Decimal:
    """The exact number: ``"500m"`` → 0.5, ``"1Ki"`` → 1024.

    Raises:
        ValueError: it is not a quantity.
    """
    if not is_quantity(value):
        raise ValueError(f"{value!r} {FORM.sentence}")
    text = str(value)
    number = text.rstrip("mkKMGTPEi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]


def _read(value: Any) -> str:
    if not is_quantity(value):
        raise ValueError(FORM.sentence)
    return str(value)


Quantity = Annotated[
    str,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            "x-kubernetes-validations": [FORM.to_crd()],
        }
    ),
]
"""Text inside; a whole number or text outside."""
