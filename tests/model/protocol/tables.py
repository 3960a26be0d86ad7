"""The rows of the documentation's table, so that a test can hold the page to the model."""

from __future__ import annotations

from protocol.checker import Exploration
from protocol.configurations import Configuration


def row(name: str, configuration: Configuration, found: Exploration) -> str:
    """One line of the table «What was explored» in docs/explanation/protocol.md."""
    return f"| `{name}` | {configuration.about} | {found.states} | {found.steps} |"
