"""Helm's own library, in a process beside pytest's.

It is Go, with a runtime, threads and signal handlers of its own, which have no business
in the process of all other tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import helm_python
import yaml

RELEASE = "sluiceway"
NAMESPACE = "sluiceway-system"
NOTES = "NOTES.txt"

Values = Mapping[str, Any]


class RefusedError(Exception):
    """Helm refused; ``str()`` is what it says."""


@dataclass(frozen=True)
class Rendered:
    """What a chart makes of a set of values."""

    files: dict[str, str]
    """Template's name within the chart → text; those that come out empty, too."""

    @property
    def notes(self) -> str:
        """What is said after an installation."""
        return self.files[NOTES]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """All objects, hooks and tests among them; the caller's own."""
        return deepcopy(self._parsed)

    @cached_property
    def _parsed(self) -> list[dict[str, Any]]:
        # The CRDs are long: PyYAML without its C part takes a hundred times as long for them.
        return [
            one
            for name, text in self.files.items()
            if name != NOTES
            for one in yaml.load_all(text, Loader=yaml.CSafeLoader)
            if one is not None
        ]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The one object of a kind, or of a kind and a name."""
        (found,) = [
            one for one in self.all(kind) if name is None or one["metadata"]["name"] == name
        ]
        return found


class Helm:
    """Calls go to one process, one after the other."""

    def __init__(self, process: ProcessPoolExecutor) -> None:
        """The process starts with the first call."""
        self._process = process
        self._rendered: dict[tuple[Path, str, str], Rendered] = {}

    def render(
        self, chart: Path, values: Values | None = None, *, release: str = RELEASE
    ) -> Rendered:
        """What ``helm template`` makes.

        Raises:
            RefusedError: the values are refused, or a template fails.
        """
        key = (chart, json.dumps(values or {}, sort_keys=True), release)
        if key not in self._rendered:
            files = self._call(_render, str(chart), dict(values or {}), release)
            self._rendered[key] = Rendered(files)
        return self._rendered[key]

    def findings(self, chart: Path, values: Values | None = None) -> list[str]:
        """What ``helm lint --strict`` finds worth a warning."""
        return self._call(_lint, str(chart), dict(values or {}))

    def do(
        self,
        kubeconfig: Path,
        action: str,
        *arguments: Any,
        within: str = NAMESPACE,
        **options: Any,
    ) -> Any:
        """An action on a cluster: install, upgrade, rollback, uninstall, history, test.

        Args:
            within: the release's namespace.

        Raises:
            RefusedError: it failed.
        """
        return self._call(_act, str(kubeconfig), within, action, arguments, options)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        outcome, refused = self._process.submit(_told, function, arguments).result()
        if refused is not None:
            raise RefusedError(refused)
        return outcome


@contextmanager
def running_helm() -> Iterator[Helm]:
    """For as long as the block lasts."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        yield Helm(process)


# What runs in the other process.


def _told(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, str | None]:
    try:
        return function(*arguments), None
    except helm_python.HelmError as error:
        return None, str(error)


def _render(chart: str, values: dict[str, Any], release: str) -> dict[str, str]:
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(values, name=release, namespace=NAMESPACE)
        within = f"{loaded.name}/templates/"
    return {name.removeprefix(within): text for name, text in files.items()}


def _lint(chart: str, values: dict[str, Any]) -> list[str]:
    report = helm_python.lint(chart, values, strict=True, namespace=NAMESPACE)
    worth_a_warning = 2
    return [
        f"{one['path']}: {one['error']}"
        for one in report["messages"]
        if one["severity"] >= worth_a_warning
    ] + list(report["errors"])


def _act(
    kubeconfig: str,
    within: str,
    action: str,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    with helm_python.Config(kubeconfig_path=kubeconfig, namespace=within) as config:
        return getattr(config, action)(*arguments, **options)
