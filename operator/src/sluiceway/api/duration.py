"""Durations: strict «30s», «2h», «1h30m», «500ms» outside, float seconds inside.

Bare numbers are refused on purpose: the HPA's fields count in seconds, Celery's in
seconds or milliseconds, and a user should never have to guess which one this is.
The form is a subset of Go's, so that CEL's own ``duration()`` reads it too.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from sluiceway.api.rule import Rule

# At most six digits each: the sum stays below Go's limit of 292 years.
PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$"
"""RE2 and Python agree on it. The empty string matches; the rules refuse it."""

_FORM = re.compile(PATTERN)
_UNITS = (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))

_MEND = "write whole numbers with the units h, m, s, ms in this order, such as 500ms, 30s or 1h30m"


def is_duration(text: Any) -> bool:
    """Whether ``text`` has the form of a duration."""
    return isinstance(text, str) and text != "" and _FORM.fullmatch(text) is not None


FORM = Rule(
    name="a duration has the form 1h30m",
    cel=f"self != '' && self.matches('{PATTERN}')",
    holds=is_duration,
    sentence=f"is not a duration: {_MEND}",
)

POSITIVE = Rule(
    name="a duration has the form 1h30m and is above zero",
    cel=f"self.matches('[1-9]') && self.matches('{PATTERN}')",
    holds=lambda text: is_duration(text) and re.search("[1-9]", text) is not None,
    sentence=f"is not a duration above zero: {_MEND}",
)


def parse_duration(text: str) -> float:
    """Seconds of a duration as users write it: ``"1h30m"`` → 5400.0.

    Raises:
        ValueError: it has another form; the sentence names the mend.
    """
    if not is_duration(text):
        raise ValueError(f"{json.dumps(text)} {FORM.sentence}")
    total_ms = 0
    for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", text):
        total_ms += int(number) * dict(_UNITS)[unit]
    return total_ms / 1000


def format_duration(seconds: float) -> str:
    """The shortest form for ``seconds``, to the millisecond: 5400.0 → ``"1h30m"``."""
    rest = round(seconds * 1000)
    parts = []
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def _read(rule: Rule) -> BeforeValidator:
    """Text becomes seconds. Numbers are seconds already, inside; outside they are errors."""

    def read(value: Any, info: ValidationInfo) -> Any:
        if info.mode != "json" and not isinstance(value, str):
            return value
        if not rule.holds(value):
            raise ValueError(rule.sentence)
        return parse_duration(value)

    return BeforeValidator(read)


def _outside(rule: Rule) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 32,
            "x-kubernetes-validations": [rule.to_crd()],
            "x-duration": True,  # schema.py writes the default in the outside form
        }
    )


_WRITE = PlainSerializer(format_duration, return_type=str, when_used="json")

Duration = Annotated[float, _read(FORM), _WRITE, _outside(FORM)]
"""Zero or more seconds inside, «30s» outside."""

PositiveDuration = Annotated[float, _read(POSITIVE), _WRITE, _outside(POSITIVE)]
"""More than zero seconds inside, «30s» outside."""
