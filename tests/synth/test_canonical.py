"""Canonical JSON: one value, one byte string; one byte string, one value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casesynth.canonical import JsonFaultError, canonical_json, parse_json

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_back_and_written_the_same(value: Any) -> None:
    data = canonical_json(value)
    read: Any = parse_json(data, "value")
    assert read == value
    assert canonical_json(read) == data


@given(st.dictionaries(text, st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_true_and_one_and_their_text_are_three_values() -> None:
    assert len({canonical_json({"a": value}) for value in (1, True, "1", 1.5)}) == 4


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        {"a": [float("-inf")]},
        {1: "a"},
        {None: "a"},
        {"a": {2, 3}},
        b"bytes",
        object(),
        "\ud800",
        {"\udfff": 1},
        pytest.param(10**5000, id="digits"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(JsonFaultError):
        canonical_json(value)


def test_nesting_has_a_limit_when_written_and_when_read() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(JsonFaultError):
        canonical_json(deep)
    with pytest.raises(JsonFaultError):
        parse_json(b"[" * 1_000_000, "deep")


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"b":2,"a":3}}',
        b"NaN",
        b'{"a":Infinity}',
        b"[1e999]",
        b"",
        b"{",
        b"\xff\xfe",
        b'"\x00"',
        pytest.param(b"1" * 5000, id="digits"),
        b"{} {}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_bytes_with_two_meanings_or_none_are_refused_with_the_name_of_the_file(data: bytes) -> None:
    with pytest.raises(JsonFaultError, match=r"manifest\.json"):
        parse_json(data, "manifest.json")
