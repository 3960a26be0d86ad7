"""The application's source: which files belong to it, their syntax trees and their comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluiceway.guardrails.facts import App

_LEFT_OUT = {"site-packages", "node_modules", "__pycache__", "migrations", "tests", "test"}
_ACCEPTS = re.compile(r"#\s*sluiceway:\s*ignore\[([\w\s,-]*)\]")
MOST_FILES = 5000
"""More are not the code of one application: a folder that was not meant."""


class SourceError(Exception):
    """There is no such source, or too much of it; one sentence says what to name instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file of Python."""

    path: Path
    tree: ast.Module
    accepted: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Line of code → rules that a comment accepts there."""
    constants: Mapping[str, ast.expr] = field(default_factory=dict)
    """The module's own names that are assigned once, at its top."""


def read_sources(app: App, more: Iterable[Path] = ()) -> tuple[Source, ...]:
    """The code of the application: its package, the packages of its tasks, and ``more``.

    What cannot be parsed is left out: the application was loaded, so it is not its own.

    Raises:
        SourceError: a path of ``more`` does not exist, or there are too many files.
    """
    files = {app.main, *(task.file for task in app.tasks if not _installed(task.file))}
    roots = {_root_of(file) for file in files if file}
    found: dict[Path, None] = {}
    for path in more:
        if not path.exists():
            raise SourceError(f"--source {path}: there is no such file or folder")
        if path.is_dir():
            roots.add(path.resolve())
        else:
            found[path.resolve()] = None
    for root in sorted(roots):
        for file in _files_in(root):
            found[file] = None
            if len(found) > MOST_FILES:
                raise SourceError(
                    f"more than {MOST_FILES} files below {root}: keep the application in a "
                    "package of its own"
                )
    return tuple(source for file in found if (source := parse(file)) is not None)


def _installed(file: Path | None) -> bool:
    """A task may come from somebody else's package, which is not the user's to mend."""
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


def _root_of(file: Path) -> Path:
    """The topmost package that holds a file; the file itself where it is in none."""
    root = file
    while (root.parent / "__init__.py").exists():
        root = root.parent
    return root


def _files_in(root: Path) -> Iterator[Path]:
    if root.is_file():
        # A module in no package: its neighbours are its application.
        yield from (path for path in sorted(root.parent.glob("*.py")) if not _is_test(path))
        return
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).parts
        hidden = any(part.startswith(".") for part in inside)
        if _LEFT_OUT.isdisjoint(inside) and not hidden and not _is_test(path):
            yield path


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py"


def parse(path: Path) -> Source | None:
    """One file; None where it is no Python that can be read."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
    except (OSError, SyntaxError, ValueError):
        return None
    return Source(path=path, tree=tree, accepted=_accepted(text), constants=_constants(tree))


def _accepted(text: str) -> dict[int, frozenset[str]]:
    """A comment speaks of its own line; alone on a line, of the next line of code."""
    waiting: frozenset[str] = frozenset()
    found: dict[int, frozenset[str]] = {}
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            match = _ACCEPTS.search(token.string)
            rules = frozenset(re.findall(r"[\w-]+", match[1])) if match else frozenset()
            if lines[token.start[0] - 1].lstrip().startswith("#"):
                waiting |= rules
            elif rules:
                found[token.start[0]] = found.get(token.start[0], frozenset()) | rules
        elif waiting and token.type not in (
            tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        ):  # fmt: skip
            found[token.start[0]] = found.get(token.start[0], frozenset()) | waiting
            waiting = frozenset()
    return found


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
    return found


def where_set(sources: Iterable[Source], *names: str) -> tuple[Path, int] | None:
    """Where a setting is written: as a name, an attribute, an argument or a key of a dict.

    Args:
        names: what is looked for, the best first: Celery's name of today, then the one before.
    """
    written = [
        (name.lower(), source.path, line)
        for source in sources
        for node in ast.walk(source.tree)
        for name, line in _written(node)
    ]
    for wanted in names:
        for name, path, line in written:
            if name in (wanted.lower(), f"celery_{wanted.lower()}"):
                return path, line
    return None


def _written(node: ast.AST) -> Iterator[tuple[str, int]]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name, node.lineno
        case ast.keyword(arg=str() as name):
            yield name, node.value.lineno
        case ast.Dict(keys=keys):
            for key in keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, key.lineno
        case ast.Subscript(slice=ast.Constant(value=str() as name), ctx=ast.Store()):
            yield name, node.lineno


def where_made(sources: Iterable[Source], app: App) -> tuple[Path, int]:
    """Where the Celery application is made, for what is written nowhere."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and getattr(
                node.func, "id", getattr(node.func, "attr", None)
            ) == "Celery":  # fmt: skip
                return source.path, node.lineno
    return (app.main or Path(app.name)), 1
