"""The rows that need nodes: scenes of tests/e2e, as often as they do it with ``--soak``.

They count in a ledger of their own, and fail where a task was lost, cut or run twice.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.common import Result

ROOT = Path(__file__).parents[2]
_SAID = re.compile(r"\d+ scale-downs, .*")


def scenes(*files: str) -> Callable[[int, int], Result]:
    """A row that runs these files of tests/e2e once."""

    def run(times: int, seed: int) -> Result:
        with tempfile.TemporaryDirectory(prefix="scenes-") as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "--cluster=local", "--soak", "-q"]
            command += [f"--junit-xml={report}", *(f"tests/e2e/{file}" for file in files)]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if not report.exists():
                raise RuntimeError(f"the scenes did not run: {ended.stdout[-2000:]}{ended.stderr}")
            return _read(report) | {"said": "; ".join(_SAID.findall(ended.stdout))}

    return run


def _read(report: Path) -> Result:
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    ran, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return {"passed": ran - skipped - failed, "failed": failed, "skipped": skipped}
