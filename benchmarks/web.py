"""The sample web app's light page, in the meltdown and with Sluiceway: p50 and p99.

`sluiceway demo` as it is, read from its figures: ten request workers, exports inside the
requests, then the same exports by Celery workers that Sluiceway starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from benchmarks.common import Result, main


def run(small: bool = True) -> Result:
    """Milliseconds until the page is there, clicks until their answer; ratios before/after."""
    sizes = ("--clicks", "20", "--duration", "8") if small else ()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "sluiceway", "demo", "-o", "json", "-d", folder, *sizes],
            check=True,
            capture_output=True,
            text=True,
        )
    told = json.loads(done.stdout)
    return {
        "page": _both(told, "page"),
        "click": _both(told, "click"),
        "pages_failed": told["pages_failed"],
        "exports_lost": told["exports"]["lost"],
    }


def _both(told: Result, what: str) -> Result:
    before, after = told[f"{what}_before"], told[f"{what}_after"]
    found: Result = {}
    for rank in ("p50", "p99"):
        found[f"{rank}_in_the_meltdown_ms"] = round(before[f"{rank}_s"] * 1000, 1)
        found[f"{rank}_with_sluiceway_ms"] = round(after[f"{rank}_s"] * 1000, 1)
        found[f"{rank}_ratio"] = round(before[f"{rank}_s"] / after[f"{rank}_s"], 1)
    return found


if __name__ == "__main__":
    main("web: the light page in the meltdown and after it", run)
