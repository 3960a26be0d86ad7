"""What all integration tests share."""

from __future__ import annotations

import pytest
from celery.signals import before_task_publish

from sluiceway_worker.publish import write_stamp


@pytest.fixture(autouse=True)
def no_stamp_but_the_tests_own() -> None:
    """The sample's modules stamp every publish of the process that imports them: this one."""
    before_task_publish.disconnect(write_stamp)
