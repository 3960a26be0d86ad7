"""Every command of the pages exists, with the options that the page gives it."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from docs_site import ROOT
from reading import forms
from reading.blocks import Block, blocks, commands
from typer.testing import CliRunner

from sluiceway.api.load import load
from sluiceway.cli.convert import convert
from sluiceway.cli.main import COMMANDS, command_named
from sluiceway_worker.__main__ import split

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
STAGES = set(re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
DISTRIBUTIONS = {"sluiceway", "sluiceway-worker"}
USAGE_ERROR: Any = typer.BadParameter.__base__
"""Of the click that Typer carries along, which is not the one that is installed beside it."""
ALL = [pytest.param(block, one, id=f"{block} {one[:50]}") for block, one in commands()]


@pytest.mark.parametrize(("block", "command"), ALL)
def test_a_command_can_be_meant(block: Block, command: str) -> None:
    words = shlex.split(command)
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    program = Path(words[0]).name
    if "…" in command:
        assert program in {*forms.PROGRAMS, "sluiceway", "ACL"}
        return
    assert _problem(block, program, words[1:], command) is None


def _problem(block: Block, program: str, words: list[str], command: str) -> str | None:
    match program:
        case "sluiceway":
            return _sluiceway_problem(words)
        case "sluiceway-worker":
            split(words)
            return None
        case "python":
            return _python_problem(words)
        case "make":
            named = [word for word in words if "=" not in word]
            return None if set(named) <= TARGETS else f"no target {named}"
        case "export" | "source" | "cd":
            return None
        case "uv":
            return None
    if program not in forms.PROGRAMS:
        return f"{program} is not known to tests/docs/reading/forms.py"
    unknown = forms.unknown_in(command)
    if unknown:
        return f"not known: {unknown}"
    if program == "docker" and "--target" in words:
        stage = words[words.index("--target") + 1]
        return None if stage in STAGES else f"the Dockerfile has no target {stage}"
    if program == "pip":
        names = {re.split(r"[\[=]", word)[0] for word in words[1:] if not word.startswith("-")}
        return None if names <= DISTRIBUTIONS else f"not ours: {names - DISTRIBUTIONS}"
    return _missing_path(block, words)


def _sluiceway_problem(words: list[str]) -> str | None:
    name, *options = words
    if name.startswith("-"):
        return None if name in ("--help", "--version") else f"no option {name}"
    if name not in COMMANDS:
        return f"no command {name}"
    try:
        command_named(name).make_context(name, options)
    except USAGE_ERROR as error:
        # A file or folder of the reader's is not here; every other value must be right.
        return None if "does not exist" in error.message else error.format_message()
    return None


def _python_problem(words: list[str]) -> str | None:
    match words:
        case ["-m", module, *rest]:
            if importlib.util.find_spec(module) is None:
                return f"no module {module}"
            return _sluiceway_problem(rest) if module == "sluiceway" else None
        case ["-c", text, *_]:
            ast.parse(text)
            return None
        case [script, *_]:
            return None if (ROOT / script).exists() else f"no file {script}"
    return "python alone"


def _missing_path(block: Block, words: list[str]) -> str | None:
    """What a command takes from the checkout is there."""
    ours = [word for word in words if re.match(r"^(\./)?(helm|manifests|tests|tools)/", word)]
    missing = [word for word in ours if not (ROOT / word).exists()]
    return f"{block}: not in the checkout: {missing}" if missing else None


def test_the_conversions_of_the_guide_are_done_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With files of the names that the guide uses."""
    page = "docs/how-to/move-from-keda.md"
    data = ROOT / "tests" / "data" / "convert"
    keda, deployment, hpa = (
        (data / f"{name}.yaml").read_text(encoding="utf-8")
        for name in ("keda", "deployment", "hpa")
    )
    for name, text in (("scaledobject", keda), ("deployment", deployment), ("hpa", hpa)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    objects = [*yaml.safe_load_all(keda), *yaml.safe_load_all(deployment)]
    (tmp_path / "before.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(convert)
    asked = [one for _, one in commands(pages=(page,)) if one.startswith("sluiceway convert")]

    for command in asked:
        result = CliRunner().invoke(app, shlex.split(command)[2:])
        assert result.exit_code == 0
        assert len(load(result.stdout, in_cluster=True)) == 1
    assert len(asked) == 3


def test_no_page_speaks_of_a_folder_of_whoever_wrote_it() -> None:
    folders = (str(ROOT), f"{Path.home()}/", "/home/", "/tmp/pytest")
    home = re.compile("|".join(map(re.escape, folders)))
    assert [str(b) for b in blocks("sh", "console", "yaml", "python") if home.search(b.text)] == []
