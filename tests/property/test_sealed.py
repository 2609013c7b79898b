"""Sealed bytes, for any content and any context: they open where they belong, as they were, and nowhere else."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casehaven.vault.context import KINDS, SealContext
from casehaven.vault.envelope import new_key_pair, open_with, seal_to
from casehaven.vault.errors import KeySizeError, SealBrokenError, SealContextError
from casehaven.vault.sealed import SEALED_OVERHEAD, WRAPPED_BYTES, new_key, seal, unseal, unwrap_key, wrap_key

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CONTEXTS = st.builds(
    SealContext,
    kind=st.sampled_from(sorted(KINDS)),
    organisation=TEXT,
    dataset=TEXT,
    version=st.integers(0, 2**63 - 1),
    object_id=TEXT,
    schema=TEXT,
)
KEYS = st.binary(min_size=32, max_size=32)


def _decoded(encoded: bytes) -> tuple[Any, ...]:
    """Read an encoded context back, as the specification lays it out. That this can be done at all makes the encoding injective."""
    fields = []
    while encoded:
        length = int.from_bytes(encoded[:4], "big")
        assert len(encoded) >= 4 + length
        fields.append(encoded[4 : 4 + length])
        encoded = encoded[4 + length :]
    label, kind, organisation, dataset, version, object_id, schema = fields
    assert label == b"casehaven-vault-context/1"
    return (
        kind.decode(),
        organisation.decode(),
        dataset.decode(),
        int.from_bytes(version, "big"),
        object_id.decode(),
        schema.decode(),
    )


@given(CONTEXTS)
def test_an_encoded_context_reads_back_to_its_fields(context: SealContext) -> None:
    assert _decoded(context.encode()) == astuple(context)


@given(CONTEXTS, KEYS, st.binary(max_size=2000))
def test_what_is_sealed_opens_as_it_was(context: SealContext, key: bytes, plaintext: bytes) -> None:
    sealed = seal(key, plaintext, context)
    assert unseal(key, sealed, context) == plaintext
    assert len(sealed) == len(plaintext) + SEALED_OVERHEAD


@given(CONTEXTS, KEYS, KEYS)
def test_a_wrapped_key_unwraps_as_it_was(context: SealContext, wrapping: bytes, key: bytes) -> None:
    wrapped = wrap_key(wrapping, key, context)
    assert unwrap_key(wrapping, wrapped, context) == key
    assert len(wrapped) == WRAPPED_BYTES


@given(CONTEXTS, st.binary(max_size=500))
@settings(max_examples=30)
def test_an_envelope_opens_as_it_was(context: SealContext, plaintext: bytes) -> None:
    private, public = new_key_pair()
    assert open_with(private, seal_to(public, plaintext, context), context) == plaintext


@given(CONTEXTS, CONTEXTS, KEYS, st.binary(max_size=50))
def test_nothing_opens_in_another_context(one: SealContext, other: SealContext, key: bytes, plaintext: bytes) -> None:
    if one == other:
        other = replace(other, schema=other.schema + "x")
    with pytest.raises(SealBrokenError):
        unseal(key, seal(key, plaintext, one), other)
    with pytest.raises(SealBrokenError):
        unwrap_key(key, wrap_key(key, key, one), other)


@given(KEYS, st.binary(max_size=300), st.data())
def test_no_flipped_bit_is_accepted(key: bytes, plaintext: bytes, data: st.DataObject) -> None:
    context = SealContext(kind="record", organisation="north")
    for sealed, opener in ((seal(key, plaintext, context), unseal), (wrap_key(key, key, context), unwrap_key)):
        bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBrokenError):
            opener(key, bytes(changed), context)


@given(KEYS, st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_with_the_one_error(key: bytes, noise: bytes) -> None:
    context = SealContext(kind="record", organisation="north")
    for opener in (unseal, unwrap_key, open_with):
        with pytest.raises(SealBrokenError):
            opener(key, noise, context)


@given(KEYS, st.binary(max_size=100))
def test_sealing_twice_gives_no_equal_bytes(key: bytes, plaintext: bytes) -> None:
    context = SealContext(kind="record", organisation="north")
    one, other = seal(key, plaintext, context), seal(key, plaintext, context)
    assert one[10:42] != other[10:42]  # the salt; equal by chance once in 2^256
    assert one[42:74] != other[42:74]


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    context = SealContext(kind="record", organisation="north")
    for key, wrapped in ((bytes(length), new_key()), (new_key(), bytes(length))):
        with pytest.raises(KeySizeError):
            wrap_key(key, wrapped, context)
    with pytest.raises(KeySizeError):
        seal(bytes(length), b"", context)
    with pytest.raises(KeySizeError):
        unseal(bytes(length), b"", context)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "diary"},
        {"version": -1},
        {"version": 2**63},
        {"version": True},
        {"organisation": None},
        {"object_id": 7},
    ],
)
def test_a_context_that_means_nothing_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(SealContextError):
        SealContext(**{"kind": "record", "organisation": "north", **wrong})


def test_text_that_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(SealContextError):
        SealContext(kind="record", organisation="\ud800").encode()
    with pytest.raises(SealContextError):
        SealContext(kind="record", organisation="n" * 65_537).encode()
