"""Helm for all tests of the charts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from charting.helm import Helm, running_helm


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    """Helm's library, in one process for the whole run."""
    with running_helm() as running:
        yield running
