"""What an expression in the source comes to, as far as that can be seen without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping

BIG_TEXT = 10_000
"""Characters or bytes of a literal from which on it is called big."""

_UNITS = {
    "weeks": 604_800.0,
    "days": 86_400.0,
    "hours": 3600.0,
    "minutes": 60.0,
    "seconds": 1.0,
    "milliseconds": 0.001,
}
_PLAIN_CALLS = {
    "Decimal", "UUID", "Counter", "OrderedDict",
}  # fmt: skip
_FETCHES = {
    "get_object_or_404", "get_or_404", "first", "last", "latest", "earliest", "one",
    "one_or_none", "scalar_one", "scalar_one_or_none", "get_or_create", "refresh_from_db",
}  # fmt: skip
_READS = {"read", "read_bytes", "read_text", "get_data", "getvalue", "b64encode", "tobytes"}
_WEB = {"body", "data", "files", "FILES", "stream"}

Names = Mapping[str, ast.expr]
"""What the names that an expression uses were last assigned."""
_MANAGERS = {"objects", "session", "query"}


def seconds(node: ast.expr | None, names: Names) -> float | None:
    """A number of seconds, or of a ``timedelta`` in it; None where it cannot be seen."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name) if name in names:
            return seconds(names[name], _without(names, name))
        case ast.BinOp(left=left, op=op, right=right):
            one, other = seconds(left, names), seconds(right, names)
            if isinstance(op, ast.Mult) and one is not None and other is not None:
                return one * other
            if isinstance(op, ast.Add):
                # now() + timedelta(hours=2): what cannot be seen is the present.
                seen = [number for number in (one, other) if number is not None]
                return sum(seen) if seen else None
        case ast.Call(func=func, args=[], keywords=keywords) if _last(func) == "timedelta":
            numbers = [seconds(keyword.value, names) for keyword in keywords]
            return sum(
                _UNITS.get(str(keyword.arg), 0.0) * (number or 0.0)
                for keyword, number in zip(keywords, numbers, strict=True)
            )
        case ast.Call(func=func, args=[days], keywords=[]) if _last(func) == "timedelta":
            number = seconds(days, names)
            return None if number is None else number * 86_400
    return None


def why_object(node: ast.expr, names: Names) -> str | None:
    """What an argument is, where it is visibly no plain data; None where it may be."""
    match node:
        case ast.Name(id="self" | "request" as name):
            return name
        case ast.Name(id=name) if name in names:
            found = why_object(names[name], _without(names, name))
            return f"{name} = {found}" if found else None
        case ast.Attribute(value=ast.Name(id="request"), attr="user"):
            return "request.user"
        case ast.Lambda() | ast.GeneratorExp() | ast.Set() | ast.SetComp():
            return ast.unparse(node)
        case ast.Call(func=func):
            called = _last(func)
            orm = isinstance(func, ast.Attribute) and (
                called in _FETCHES
                or (called in ("get", "create") and _last(func.value) in _MANAGERS)
            )
            own = called[:1].isupper() and called not in _PLAIN_CALLS and not called.isupper()
            if orm or own or called in ("open", "get_object_or_404"):
                return ast.unparse(node)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return next(filter(None, (why_object(item, names) for item in items)), None)
        case ast.Dict(values=items):
            return next(filter(None, (why_object(item, names) for item in items)), None)
    return None


def why_big(node: ast.expr, names: Names) -> str | None:
    """What an argument is, where it is visibly as large as a file; None where it may be small."""
    match node:
        case ast.Constant(value=str() | bytes() as value) if len(value) > BIG_TEXT:
            return f"a literal of {len(value)} characters"
        case ast.Name(id=name) if name in names:
            found = why_big(names[name], _without(names, name))
            return f"{name} = {found}" if found else None
        case ast.Attribute(value=ast.Name(id="request"), attr=attr) if attr in _WEB:
            return ast.unparse(node)
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _READS:
            return ast.unparse(node)
        case ast.Call(func=ast.Attribute(value=inner, attr="decode" | "encode")):
            return why_big(inner, names)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(values=items):
            return next(filter(None, (why_big(item, names) for item in items)), None)
    return None


def _last(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _without(names: Names, name: str) -> Names:
    """So that ``x = x + 1`` is not followed for ever."""
    return {key: value for key, value in names.items() if key != name}
