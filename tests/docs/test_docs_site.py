"""The site can be built, every link and anchor leads somewhere, and each page can be found."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docs_site
import reference_docs


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"

    assert docs_site.build(site) == 0
    assert (site / "index.html").exists()
    assert (site / "docs" / "tutorial" / "quick-start" / "index.html").exists()


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    config = tomllib.loads((docs_site.ROOT / "zensical.toml").read_text(encoding="utf-8"))
    listed = set(_pages(config["project"]["nav"]))

    pages = {path.as_posix() for path in docs_site.page_files() if path.parts[0] == "docs"}
    assert pages - listed == set(), "add them to nav in zensical.toml"
    assert {page for page in listed if not (docs_site.ROOT / page).exists()} == {"index.md"}


def _pages(nav: Any) -> Iterator[str]:
    for entry in nav if isinstance(nav, list) else nav.values():
        if isinstance(entry, str):
            yield entry
        else:
            yield from _pages(entry)


def test_the_reference_pages_say_what_the_code_says() -> None:
    stale = [
        path.name
        for path, text in reference_docs.pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make generate`"


def test_a_field_an_option_and_a_rule_are_in_the_reference() -> None:
    pages = {path.stem: text for path, text in reference_docs.pages().items()}

    assert "| `spec.scaling.target.maxWait` | duration |" in pages["taskqueue"]
    assert "| `spec.worker.pool` | `prefork` or `solo` or" in pages["taskqueue"]
    assert "| `spec.tolerations[].effect` |" in pages["workerclass"]
    assert "| `--fail-on <error\\|warning\\|note>` |" in pages["command-line"]
    assert (
        "| `sluiceway_queue_length` | gauge | `namespace`, `taskqueue`, `queue` |"
        in (pages["metrics"])
    )
    assert "## visibility-timeout\n" in pages["guardrails"]
