"""The rows that need nodes: scenes of tests/e2e, which count in a ledger of their own.

A scene that counts as the other rows do is told how often (``--times``) and writes its figures
down; the others do it as often as ``--soak`` says, and pass or fail.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.common import Result

ROOT = Path(__file__).parents[2]
_SAID = re.compile(r"\d+ scale-downs, .*")


def scenes(file: str, named: str, *, counts: bool = True) -> Callable[[int, int], Result]:
    """A row that runs a file of tests/e2e once.

    Args:
        named: only the scenes that pytest's ``-k`` finds for it; ``""``: all.
        counts: whether they count, and are told how often.
    """

    def run(times: int, seed: int) -> Result:
        with tempfile.TemporaryDirectory(prefix="scenes-") as folder:
            report, counted = Path(folder) / "report.xml", Path(folder) / "figures.jsonl"
            command = [sys.executable, "-m", "pytest", "--cluster=local", "-q", f"tests/e2e/{file}"]
            command += ["-k", named, f"--times={times}" if counts else "--soak"]
            command += [f"--junit-xml={report}", f"--figures={counted}"]
            said, wrong = _output(command)
            if not report.exists():
                raise RuntimeError(f"the scenes did not run: {said[-2000:]}{wrong}")
            figures = _read(report)
            if figures["failed"]:
                print(said[-20_000:], flush=True)
            for line in counted.read_text().splitlines() if counted.exists() else ():
                figures |= json.loads(line)
            return figures | {"said": "; ".join(_SAID.findall(said))}

    return run


def _output(command: Sequence[str]) -> tuple[str, str]:
    """What it writes to its end; who is interrupted lets it take its nodes along."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            return running.communicate()
        except BaseException:
            running.send_signal(signal.SIGINT)
            running.communicate()
            raise


def _read(report: Path) -> Result:
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    ran, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return {"passed": ran - skipped - failed, "failed": failed, "skipped": skipped}
