"""The code blocks of all pages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from docs_site import ROOT, page_files

LOCAL_PAGES = ("README.md", "docs/tutorial/quick-start.md")
"""What their TaskQueues say is for local mode, which needs no image."""
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str, pages: tuple[str, ...] = ()) -> Iterator[Block]:
    """The blocks in these languages, of all pages or of some."""
    for path in page_files():
        if pages and path.as_posix() not in pages:
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                yield Block(
                    page=path.as_posix(),
                    line=text.count("\n", 0, match.start()) + 1,
                    language=match[2],
                    text=textwrap.dedent(match[3]),
                )


def commands(*, pages: tuple[str, ...] = ()) -> Iterator[tuple[Block, str]]:
    """Each command of a shell block, on one line; what a console answers is left out."""
    for block in blocks("sh", "console", pages=pages):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if block.language == "console":
                if not line.startswith("$ "):
                    continue
                line = line.removeprefix("$ ")
            line = re.sub(r"(^|\s)#.*$", "", line).strip()
            for part in re.split(r"\s(?:\||&&|;)\s", line):
                command = re.sub(r"\s>>?\s\S+$", "", part).strip()
                if command:
                    yield block, command
