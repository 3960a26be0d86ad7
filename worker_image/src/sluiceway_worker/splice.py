"""Set members of a JSON message's objects, and leave every other byte as it is.

A message that comes back must be the one that was published. Decoding and encoding it
again would not do: numbers, escapes, spaces and the order of members are the
publisher's, and whoever signed or compares messages sees every one of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_AS_JSON_LOADS = "surrogatepass"


class SpliceError(ValueError):
    """The message has no such object, or is no JSON at all: leave it as it is."""


class _Member(NamedTuple):
    name: str
    start: int
    end: int
    value: Any


def read_member(message: bytes, name: str) -> Any:
    """The value of one member of the message, as ``json.loads`` would give it.

    Raises:
        SpliceError: there is none.
    """
    return _last(_members(_text(message), 0), name).value


def set_members(message: bytes, path: Sequence[str], values: Mapping[str, Any]) -> bytes:
    """The message with these members set in one of its objects.

    Args:
        message: a JSON object, UTF-8.
        path: from the message to the object, by names; empty for the message itself.
        values: what to set. A value that is there already is replaced in its place; the
            others come first in the object.

    Raises:
        SpliceError: the message is not of that form.
    """
    text = _text(message)
    start = 0
    for name in path:
        start = _last(_members(text, start), name).start
    for name, value in values.items():
        there = [one for one in _members(text, start) if one.name == name]
        written = json.dumps(value)
        if there:
            text = text[: there[-1].start] + written + text[there[-1].end :]
        else:
            at = _skip(text, start) + 1
            comma = "" if text[_skip(text, at)] == "}" else ", "
            text = f"{text[:at]}{json.dumps(name)}: {written}{comma}{text[at:]}"
    return text.encode("utf-8", _AS_JSON_LOADS)


def _text(message: bytes) -> str:
    try:
        return message.decode("utf-8", _AS_JSON_LOADS)
    except UnicodeDecodeError as exc:
        raise SpliceError(str(exc)) from exc


def _last(members: Sequence[_Member], name: str) -> _Member:
    """Of members with one name the last one counts, as for ``json.loads``."""
    named = [member for member in members if member.name == name]
    if not named:
        raise SpliceError(f"no member {name!r}")
    return named[-1]


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object at ``start``, values as spans of the text."""
    try:
        at = _expect(text, start, "{")
        members: list[_Member] = []
        if text[_skip(text, at)] == "}":
            return members
        while True:
            name, at = _DECODER.raw_decode(text, _skip(text, at))
            if not isinstance(name, str):
                raise SpliceError(f"a member's name is {name!r}")
            begin = _skip(text, _expect(text, at, ":"))
            value, end = _DECODER.raw_decode(text, begin)
            members.append(_Member(name, begin, end, value))
            at = _skip(text, end)
            if text[at] == "}":
                return members
            at = _expect(text, at, ",")
    except (ValueError, IndexError, RecursionError) as exc:
        raise exc if isinstance(exc, SpliceError) else SpliceError(str(exc)) from exc


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    """Where it goes on behind this mark."""
    at = _skip(text, at)
    if text[at] != mark:
        raise SpliceError(f"{mark!r} expected at {at}")
    return at + 1
