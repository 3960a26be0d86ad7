"""Marks are set in a message's bytes, and nothing else of it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluiceway_worker.splice import SpliceError, read_member, set_members

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)
STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 2]),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " :\t")]),
        "ensure_ascii": st.booleans(),
    }
)


@given(OBJECTS, OBJECTS, st.dictionaries(st.text(), VALUES, min_size=1, max_size=3), STYLES)
def test_a_mark_is_set_and_all_else_reads_as_before(
    message: dict[str, Any], headers: dict[str, Any], marks: dict[str, Any], style: dict[str, Any]
) -> None:
    message["headers"] = headers
    raw = json.dumps(message, **style).encode("utf-8", "surrogatepass")
    marked = set_members(raw, ["headers"], marks)
    assert json.loads(marked) == {**message, "headers": {**headers, **marks}}


@given(OBJECTS, OBJECTS, STYLES)
def test_a_mark_that_was_not_there_is_added_and_not_a_byte_is_changed(
    message: dict[str, Any], headers: dict[str, Any], style: dict[str, Any]
) -> None:
    headers.pop("mark", None)
    message["headers"] = headers
    raw = json.dumps(message, **style).encode("utf-8", "surrogatepass")
    marked = set_members(raw, ["headers"], {"mark": 1})
    added = b'"mark": 1, ' if headers else b'"mark": 1'
    cuts = (marked[:at] + marked[at + len(added) :] for at in range(len(marked)))
    assert raw in cuts


def test_a_mark_that_is_there_already_is_replaced_in_its_place() -> None:
    raw = b'{ "headers":{"a" :1.50,"mark": [ {} ] , "b":"\\u00e9"}}'
    assert set_members(raw, ["headers"], {"mark": True}) == raw.replace(b"[ {} ]", b"true")


def test_numbers_and_empty_lists_that_others_would_change_are_kept() -> None:
    raw = b'{"body": [], "t": 1764000000.123456, "n": 12345678901234567890, "headers": {}}'
    marked = set_members(raw, ["headers"], {"redelivered": True})
    assert marked == raw.replace(b'"headers": {}', b'"headers": {"redelivered": true}')


def test_a_mark_goes_where_it_is_sent_and_not_into_text_that_looks_alike() -> None:
    raw = json.dumps({"body": '"headers": {"id": 1}', "headers": {"id": '{"x": 2}'}}).encode()
    marked = set_members(raw, ["headers"], {"x": 1})
    assert json.loads(marked)["headers"] == {"x": 1, "id": '{"x": 2}'}
    assert read_member(marked, "headers") == {"x": 1, "id": '{"x": 2}'}


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"\xff", b'{"headers": null}', b'{"headers": []}', b'{"a": 1}'],
)
def test_what_cannot_be_marked_is_refused_and_not_guessed_at(raw: bytes) -> None:
    with pytest.raises(SpliceError):
        set_members(raw, ["headers"], {"mark": 1})
    with pytest.raises(SpliceError):
        set_members(raw, ["properties", "delivery_info"], {"mark": 1})


def test_a_message_that_is_nested_too_deep_is_refused() -> None:
    raw = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "headers": {}}'
    with pytest.raises(SpliceError):
        set_members(raw, ["headers"], {"mark": 1})
