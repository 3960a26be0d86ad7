"""What local mode shows on plain lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sluiceway.local.show import show_lines


async def nothing_happens() -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield


async def test_after_ctrl_c_plain_lines_say_too_what_is_waited_for(tmp_path: Path) -> None:
    local: Any = SimpleNamespace(
        broker_url="redis://127.0.0.1:1/0",
        embeds=False,
        logs=tmp_path,
        journal=SimpleNamespace(follow=nothing_happens),
        stopping=False,
        running=lambda: 2,
    )
    lines: asyncio.Queue[str] = asyncio.Queue()
    showing = asyncio.create_task(show_lines(local, echo=lines.put_nowait, logs=False))
    for _ in range(2):
        await lines.get()
    local.stopping = True
    async with asyncio.timeout(60):
        said = await lines.get()
    showing.cancel()
    assert said == "stopping: 2 workers finish their tasks; a second Ctrl-C cuts them"
