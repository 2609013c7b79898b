"""An envelope that is written piece by piece is one that `open_with` opens, whatever the pieces; what was cut short does not open."""

from __future__ import annotations

import pytest

from casehaven.vault.context import SealContext
from casehaven.vault.envelope import HEADER_BYTES, new_key_pair, open_with, seal_to
from casehaven.vault.errors import KeySizeError, SealBrokenError
from casehaven.vault.sealed import CHUNK_BYTES
from casehaven.vault.sealing_stream import SealingStream

CONTEXT = SealContext(kind="upload", organisation="north", dataset="cases", object_id="u1")
PRIVATE, PUBLIC = new_key_pair()


def _streamed(plain: bytes, piece: int) -> bytes:
    stream = SealingStream(PUBLIC, CONTEXT)
    sealed = b"".join(stream.update(plain[at : at + piece]) for at in range(0, len(plain), piece))
    return sealed + stream.finish()


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7]
)
@pytest.mark.parametrize("piece", [65_521, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_what_is_streamed_opens_and_is_as_long_as_what_is_sealed_at_once(size: int, piece: int) -> None:
    plain = bytes(range(251)) * (size // 251 + 1)
    sealed = _streamed(plain[:size], piece)
    assert open_with(PRIVATE, sealed, CONTEXT) == plain[:size]
    assert len(sealed) == len(seal_to(PUBLIC, plain[:size], CONTEXT))
    assert sealed[:HEADER_BYTES] == seal_to(PUBLIC, b"", CONTEXT)[:HEADER_BYTES]


def test_what_was_cut_short_does_not_open() -> None:
    stream = SealingStream(PUBLIC, CONTEXT)
    begun = stream.update(b"x" * (2 * CHUNK_BYTES + 1))
    with pytest.raises(SealBrokenError):
        open_with(PRIVATE, begun, CONTEXT)
    whole = begun + stream.finish()
    for at in (len(whole) - 1, CHUNK_BYTES, HEADER_BYTES):
        with pytest.raises(SealBrokenError):
            open_with(PRIVATE, whole[:at], CONTEXT)


def test_another_place_or_no_key_is_refused() -> None:
    sealed = _streamed(b"text", 2)
    with pytest.raises(SealBrokenError):
        open_with(PRIVATE, sealed, SealContext(kind="upload", organisation="south", dataset="cases", object_id="u1"))
    for wrong in (bytes(31), bytes(32)):
        with pytest.raises(KeySizeError):
            SealingStream(wrong, CONTEXT)
