"""Puts uv into the folder given, with nothing but the standard library.

For machines whose Python has neither pip nor venv (a bare Debian or Ubuntu) and
whose user is not root. uv is one static program inside a wheel; this fetches the
newest wheel for this machine from PyPI, checks its hash and takes the program out.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import urllib.request
import zipfile
from pathlib import Path

INDEX = "https://pypi.org/simple/uv/"
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "arm64"}


def wheel_tags() -> tuple[str, str]:
    """What the file name of a fitting wheel contains: the system and the machine."""
    machine = MACHINES.get(platform.machine().lower(), platform.machine())
    if sys.platform == "darwin":
        return ("macosx", machine)
    return ("musllinux", "aarch64" if machine == "arm64" else machine)


def main(folder: Path) -> None:
    request = urllib.request.Request(
        INDEX, headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    system, machine = wheel_tags()
    fitting = [
        f
        for f in files
        if f["filename"].endswith(".whl") and system in f["filename"] and machine in f["filename"]
    ]
    if not fitting:
        sys.exit(f"PyPI has no uv for {system} on {machine}: install uv by hand")
    newest = fitting[-1]
    with urllib.request.urlopen(newest["url"], timeout=300) as answer:
        wheel = answer.read()
    if hashlib.sha256(wheel).hexdigest() != newest["hashes"]["sha256"]:
        sys.exit(f"{newest['filename']} does not have the hash that PyPI gives: try again")
    target = folder / "bin" / "uv"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        program = next(n for n in archive.namelist() if n.endswith("/scripts/uv"))
        target.write_bytes(archive.read(program))
    target.chmod(0o755)


main(Path(sys.argv[1]))
