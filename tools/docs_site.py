"""Builds the pages as a site: every link and anchor in them must lead somewhere.

All pages of the checkout are copied as they lie, with the files that they link to, so that the
links that work on a forge work in the site, too. Zensical then builds the copy strictly.

    python tools/docs_site.py [FOLDER]      # default: site/
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def page_files() -> list[Path]:
    """Every page that git knows of or would take, relative to the checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [Path(line) for line in listing.stdout.splitlines()]
    return [
        path
        for path in found
        if (ROOT / path).exists() and not path.parts[0].startswith((".", "tests"))
    ]


def stage(folder: Path) -> None:
    """Lay the pages, what they link to, and the configuration into ``folder``."""
    pages = folder / "pages"
    wanted = page_files()
    for page in tuple(wanted):
        for target in _LINK.findall((ROOT / page).read_text(encoding="utf-8")):
            linked = (ROOT / page.parent / target).resolve()
            if linked.is_file():
                wanted.append(linked.relative_to(ROOT))
    for path in dict.fromkeys(wanted):
        place = pages / ("index.md" if path == Path("README.md") else path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, place)
    for page in pages.rglob("*.md"):
        # A link to the front page is one to the README, and a folder has no page.
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"\]\(((?:\.\./)+)README\.md(?=[)#])", _front_page(page, pages), text)
        page.write_text(_without_folders(text, page, pages), encoding="utf-8")
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")


def _front_page(page: Path, pages: Path) -> Callable[[re.Match[str]], str]:
    """A replacement for links to README.md: only the topmost one is the front page."""
    top = "../" * (len(page.relative_to(pages).parts) - 1)
    return lambda match: f"]({top}index.md" if match[1] == top else match[0]


def _without_folders(text: str, page: Path, pages: Path) -> str:
    def plain(match: re.Match[str]) -> str:
        there = ROOT / page.relative_to(pages).parent / match[2]
        return match[1] if there.is_dir() else match[0]

    return re.sub(r"\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)\)", plain, text)


def build(site: Path) -> int:
    """Build into ``site``, which is replaced; the exit code of the generator."""
    with tempfile.TemporaryDirectory(prefix="sluiceway-docs-") as folder:
        stage(Path(folder))
        command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
        ended = subprocess.run(command, cwd=folder, check=False)
        if ended.returncode == 0:
            shutil.rmtree(site, ignore_errors=True)
            shutil.move(Path(folder) / "site", site)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"))
