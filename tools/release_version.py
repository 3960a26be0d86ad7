"""Whether everything that names the version names the same, and what the changelog says of it.

python tools/release_version.py                # the version
python tools/release_version.py --tag v1.2.3   # exits with 1 where something says another
python tools/release_version.py --notes        # the changelog's part on it
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = ("operator", "worker_image", "worker_image/sample")
_NEXT = "Unreleased"


def versions(root: Path = ROOT) -> dict[str, str]:
    """Every place that names the version, and what it says."""
    found = {}
    for folder in DISTRIBUTIONS:
        file = root / folder / "pyproject.toml"
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        found[f"{folder}/pyproject.toml"] = str(project["version"])
    for chart in sorted((root / "helm").glob("*/Chart.yaml")):
        name = chart.relative_to(root).as_posix()
        for key, value in re.findall(
            r"^(version|appVersion): [\"']?([^\"'\n]+)", chart.read_text(encoding="utf-8"), re.M
        ):
            found[f"{name}: {key}"] = value
    dockerfile = (root / "Dockerfile").read_text(encoding="utf-8")
    for number, value in enumerate(re.findall(r"^ARG VERSION=(\S+)", dockerfile, re.M), 1):
        found[f"Dockerfile: ARG VERSION, number {number}"] = value
    return found


def notes(version: str, root: Path = ROOT) -> str | None:
    """The changelog's part on a version; None where it has none."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    match = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return match[1].strip() if match and match[1].strip() else None


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps a tag from being released; a sentence each."""
    version = tag.removeprefix("v")
    found = [
        f"{place} says {value}: write {version}, or tag v{value}"
        for place, value in versions(root).items()
        if value != version
    ]
    if notes(version, root) is None:
        found.append(f"CHANGELOG.md has no part «## [{version}]»: name what stands under «{_NEXT}»")
    return found


def main(arguments: list[str]) -> int:
    """The exit code."""
    match arguments:
        case ["--tag", tag]:
            found = problems(tag)
            for problem in found:
                print(problem)
            return 1 if found else 0
        case ["--notes"]:
            print(notes(_version()) or "")
        case _:
            print(_version())
    return 0


def _version() -> str:
    return versions()["operator/pyproject.toml"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
