"""What must hold of the checkout itself, whoever changes it."""

from __future__ import annotations

import operator
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from sluiceway.decide.decision import Reason
from sluiceway.workload.unmakeable import Why

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).exists()]


def test_the_operator_folder_never_hides_the_standard_librarys_operator_module() -> None:
    assert Path(operator.__file__ or "").is_relative_to(sysconfig.get_path("stdlib"))
    inside = {path.relative_to(ROOT / "operator").as_posix() for path in tracked("operator")}
    assert "__init__.py" not in inside
    assert not {name for name in inside if Path(name).name == "conftest.py"}
    assert not {name for name in inside if name.startswith(("test_", "tests/"))}


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_in_the_docs_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_no_two_test_files_share_a_name_because_pytest_could_not_tell_them_apart() -> None:
    names = [path.name for path in tracked("tests/**/test_*.py", "tests/test_*.py")]
    assert len(names) == len(set(names))


def test_every_reason_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "reasons.md").read_text(encoding="utf-8")
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "operator" / "src" / "sluiceway" / "cluster").glob("*.py")
    )
    written = re.findall(r'(?:SetupError\(\s*|reason=)"([A-Z]\w+)"', code)
    reasons = {*Reason, *(why.value for why in Why), *written}
    assert {one for one in reasons if f"`{one}`" not in page} == set()
