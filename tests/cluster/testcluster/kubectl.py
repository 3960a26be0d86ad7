"""kubectl as tests use it: one program, one kubeconfig, perhaps one namespace.

Tests talk to the cluster the way its users do, so that what `kubectl apply`
says to a person is what is asserted on. It is also the one client that works
with every provider's credentials.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

SECONDS = 120.0
"""A kubectl that takes longer hangs; tests that wait longer poll."""


class KubectlError(RuntimeError):
    """kubectl said no; the message is its standard error."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one call printed and returned."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """Calls kubectl with fixed credentials."""

    program: Path
    kubeconfig: Path
    namespace: str | None = None
    """Where namespaced commands go; None for the kubeconfig's own."""

    def within(self, namespace: str) -> Kubectl:
        """The same credentials, in another namespace."""
        return replace(self, namespace=namespace)

    def as_user(self, kubeconfig: Path) -> Kubectl:
        """The same place, with other credentials."""
        return replace(self, kubeconfig=kubeconfig)

    def try_run(self, *arguments: str | Path, stdin: str | None = None) -> Outcome:
        """Run it and return what it said, also when it failed."""
        place = ["--namespace", self.namespace] if self.namespace is not None else []
        done = subprocess.run(
            [self.program, *place, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "KUBERC": "off"},
        )
        return Outcome(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def run(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run it and return its standard output.

        Raises:
            KubectlError: it failed.
        """
        outcome = self.try_run(*arguments, stdin=stdin)
        if outcome.code != 0:
            words = " ".join(str(argument) for argument in arguments)
            raise KubectlError(f"kubectl {words}: {outcome.stderr.strip()}")
        return outcome.stdout

    def apply(self, manifest: str) -> str:
        """Client-side apply of YAML or JSON, as most users do it."""
        return self.run("apply", "--filename", "-", stdin=manifest)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object as it is stored.

        Raises:
            KubectlError: among others, when it does not exist.
        """
        loaded: dict[str, Any] = json.loads(self.run("get", kind, name, "--output", "json"))
        return loaded

    def items(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """All objects of a kind (`--all-namespaces`, `--selector …` may be added)."""
        listed: list[dict[str, Any]] = json.loads(
            self.run("get", kind, *arguments, "--output", "json")
        )["items"]
        return listed
