"""Where the story is told: a terminal that redraws an act as it goes, or plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sluiceway.demo.scene import FleetScene, Scene
from sluiceway.demo.words import duration, number, plural

_LINE_EVERY_S = 4.0
"""Without a terminal, a line at least so often, and whenever a fleet changes."""

_BAR = 28


class Stage(Protocol):
    """Shows one act."""

    def show(self, scene: Scene) -> None:
        """The act as it is now; called a few times a second."""


class Screen:
    """Tells the story to whoever started it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def heading(self, text: str) -> None:
        """Something new begins."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def say(self, text: str) -> None:
        """What happens, in a paragraph."""
        self._print(Text(text))

    def point(self, text: str, good: bool) -> None:
        """What has come of it, in a sentence."""
        self._print(Text.assemble(("▶ ", "green" if good else "red"), (text, "bold")))

    def aside(self, text: str) -> None:
        """Why something happened, set in under what happened."""
        self._print(Text(text), indent=9)

    def quote(self, text: str) -> None:
        """Lines of a file."""
        self._print(Text(text, style="cyan"), indent=6)

    def table(self, table: Table) -> None:
        """Figures, side by side."""
        self._print(table)

    @contextmanager
    def act(self) -> Iterator[Stage]:
        """A stage for as long as the block lasts."""
        if not self._console.is_terminal:
            yield _Lines(self)
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            yield _Picture(live)

    def _print(self, what: RenderableType, indent: int = 2) -> None:
        self._console.print(Padding(what, (0, 0, 0, indent), expand=False))


class _Picture:
    """Redrawn in place; only the last one stays."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, scene: Scene) -> None:
        self._live.update(Padding(_drawn(scene), (1, 0, 1, 4)), refresh=True)


class _Lines:
    """A line now and then."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown_at = -_LINE_EVERY_S
        self._asked: dict[str, int] = {}

    def show(self, scene: Scene) -> None:
        changed = [f for f in scene.fleets if f.asked != self._asked.get(f.name, 0)]
        if not changed and scene.elapsed_s - self._shown_at < _LINE_EVERY_S:
            return
        self._shown_at = scene.elapsed_s
        self._asked = {fleet.name: fleet.asked for fleet in scene.fleets}
        fleets = (
            f"   {f.name} {plural(f.asked, 'worker')}, {number(f.queue_length)} waiting"
            for f in scene.fleets
        )
        self._screen.say(
            f"{scene.elapsed_s:3.0f} s  {scene.clicked}/{scene.clicks} clicks, "
            f"{plural(scene.pdfs, 'PDF')}, page {duration(scene.page_now_s)}{''.join(fleets)}"
        )
        for fleet in changed:
            self._screen.aside(f"{fleet.name}: {fleet.sentence}")


def _drawn(scene: Scene) -> RenderableType:
    people = Table.grid(padding=(0, 2))
    people.add_row("clicks", _bar(scene.clicked, scene.clicks), f"{scene.clicked}/{scene.clicks}")
    people.add_row("PDFs in hand", _bar(scene.pdfs, scene.clicks), f"{scene.pdfs}/{scene.clicks}")
    page = Text.assemble(
        f"{scene.elapsed_s:4.0f} s   the page takes ",
        (duration(scene.page_now_s), f"bold {_colour(scene.page_now_s)}"),
        f" now   p50 {duration(scene.page_p50_s)}   p99 {duration(scene.page_p99_s)}",
    )
    return Group(page, people, *(line for fleet in scene.fleets for line in _fleet(fleet)))


def _fleet(fleet: FleetScene) -> tuple[RenderableType, ...]:
    """A fleet in two lines: how it is, and why."""
    dots = "●" * fleet.consuming + "○" * max(0, fleet.running - fleet.consuming)
    now = Text.assemble(
        (f"{fleet.name:<9}", "bold"),
        (f"{dots:<12}", "green"),
        f"{_workers(fleet)}, {_queue(fleet)}",
    )
    return Text(), now, Text(f"{'':9}{fleet.sentence}", style="dim", overflow="ellipsis")


def _bar(part: int, whole: int) -> Text:
    filled = round(_BAR * part / whole) if whole else 0
    return Text.assemble(("█" * filled, "cyan"), ("░" * (_BAR - filled), "dim"))


def _workers(fleet: FleetScene) -> str:
    return f"{plural(fleet.asked, 'worker')} asked for, {fleet.consuming} at work"


def _queue(fleet: FleetScene) -> str:
    if fleet.queue_length == 0:
        return "nobody waits"
    return f"{number(fleet.queue_length)} waiting, the oldest for {duration(fleet.oldest_wait_s)}"


def _colour(seconds: float | None) -> str:
    return "green" if seconds is not None and seconds < 0.3 else "red"
