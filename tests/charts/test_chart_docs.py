"""What the docs say to write, the charts take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from charting.helm import Helm
from charting.paths import APP, CHART, ROOT

GUIDE = ROOT / "docs" / "how-to" / "install-with-helm.md"
PAGES = {GUIDE: CHART, APP / "README.md": APP}


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WRITTEN = [
    pytest.param(chart, yaml.safe_load(block), id=f"{named(page)} {number}")
    for page, chart in PAGES.items()
    for number, block in enumerate(blocks(page, "yaml"))
]


@pytest.mark.parametrize(("chart", "values"), WRITTEN)
def test_values_in_the_docs_are_taken(helm: Helm, chart: Path, values: dict[str, Any]) -> None:
    assert helm.render(chart, values).objects


@pytest.mark.parametrize("page", [GUIDE, CHART / "README.md", APP / "README.md"], ids=named)
def test_values_set_on_a_command_line_in_the_docs_are_taken(helm: Helm, page: Path) -> None:
    for block in blocks(page, "sh"):
        for command in re.findall(r"^helm install .*?(?<!\\)$", block, re.MULTILINE | re.DOTALL):
            chart = ROOT / re.search(r"\./(helm/\S+)", command).group(1)  # type: ignore[union-attr]
            values: dict[str, Any] = {}
            for path, value in re.findall(r"--set (\S+?)=(\S+)", command):
                *above, last = path.split(".")
                place = values
                for name in above:
                    place = place.setdefault(name, {})
                # As Helm reads it; no number is written in the docs.
                place[last] = {"true": True, "false": False}.get(value, value)
            assert helm.render(chart, values).objects
