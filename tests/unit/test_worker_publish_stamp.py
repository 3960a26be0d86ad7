"""The stamp is the time of this publishing, whatever headers came along."""

from __future__ import annotations

import time

from sluiceway_worker.publish import write_stamp
from sluiceway_worker.wire import STAMP_HEADER


def test_each_publish_overwrites_the_stamp_and_leaves_the_rest() -> None:
    before = time.time()
    headers = {"id": "x", STAMP_HEADER: 1.0}
    write_stamp(headers=headers, sender="t", body=())
    assert before <= headers.pop(STAMP_HEADER) <= time.time()
    assert headers == {"id": "x"}


def test_a_message_without_headers_is_left_alone() -> None:
    write_stamp(headers=None, sender="t", body=())


def test_a_retry_does_not_inherit_the_deaths_of_the_message_before() -> None:
    headers = {"sluiceway_deaths": [[1.0, "", ""]], "sluiceway_suspect": True, "own": 1}
    write_stamp(headers=headers)
    assert set(headers) == {"sluiceway_published", "own"}
