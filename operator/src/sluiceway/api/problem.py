"""What is wrong with an object that a user wrote: where, what, and what to write instead.

Every check of this package answers with ``Problem``s and never raises for what a
user wrote, so that all of an object's problems are told at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Why(StrEnum):
    """The kinds of problem, in the words that a Kubernetes API server uses for them."""

    INVALID = "Invalid value"
    REQUIRED = "Required value"
    FORBIDDEN = "Forbidden"
    UNKNOWN = "Unknown field"
    ADVICE = "Warning"
    """Allowed, and probably not meant."""


# Up to the last "@": a password with an unescaped "/" or "@" must not show its tail.
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def redact(value: Any) -> Any:
    """``value`` without the credentials of an address in it.

    Problems end up in terminals, logs and CI output; a broker's password must not.
    """
    if isinstance(value, str):
        return _CREDENTIALS.sub("***@", value)
    if isinstance(value, dict):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One problem with one field."""

    path: str
    """The field, as Kubernetes writes it: ``spec.scaling.schedules[0].cron``."""
    message: str
    """A sentence that says what is wrong and names the mend."""
    value: Any = None
    """What was written there, without credentials; None where nothing was."""
    why: Why = Why.INVALID
    names_value: bool = False
    """Whether the sentence already says the value, so that it is not said twice."""
    meant: str | None = None
    """For an unknown field: the field of the same object that was probably meant."""

    def __str__(self) -> str:
        """One line, as the API server of Kubernetes 1.36 prints the same problem."""
        # A key that users choose may hold anything; a problem is one line all the same.
        path = self.path if self.path.isprintable() else json.dumps(self.path)
        where = f"{path}: " if path else ""
        shown = ""
        if self.why is Why.INVALID and not self.names_value and _is_scalar(self.value):
            shown = f"{_short(self.value)}: "
        return f"{where}{self.why}: {shown}{self.message}"


def child(path: str, name: str | int) -> str:
    """The path of a field (a name) or an item (an index) below ``path``."""
    if isinstance(name, int):
        return entry(path, name)
    return f"{path}.{name}" if path else name


def entry(path: str, key: str | int) -> str:
    """The path of an entry of a map, whose keys users choose, or of an item of a list."""
    return f"{path}[{key}]"


def related(one: str, other: str) -> bool:
    """Whether one path is the other, or lies below it."""
    shorter, longer = sorted((one, other), key=len)
    return not shorter or longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _short(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
