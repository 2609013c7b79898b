"""Threats 4, 5 and 6 of the security design: ciphertexts that are swapped, cut, reordered, flipped, or made to open under two keys."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casehaven.vault import envelope, sealed
from casehaven.vault.context import KINDS, SealContext
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.sealed import CHUNK_BYTES, HEADER_BYTES, new_key, seal, unseal, unwrap_key, wrap_key

HOME = SealContext(kind="record", organisation="north", dataset="cases", version=3, object_id="77", schema="htcds/2.0")
KEY = new_key()
DEK = new_key()
PRIVATE, PUBLIC = envelope.new_key_pair()
PLAINTEXT = b"a case record of some length, in one chunk"
STEP = CHUNK_BYTES + 16

FORMS: dict[str, tuple[Callable[[SealContext], bytes], Callable[[bytes, SealContext], bytes]]] = {
    "sealed": (partial(seal, KEY, PLAINTEXT), partial(unseal, KEY)),
    "wrapped": (partial(wrap_key, KEY, DEK), partial(unwrap_key, KEY)),
    "envelope": (partial(envelope.seal_to, PUBLIC, PLAINTEXT), partial(envelope.open_with, PRIVATE)),
}
"""Each form of ciphertext: how it is made and opened in a context."""


def _contexts() -> dict[str, SealContext]:
    """The home context, and others that differ from it and from each other in every way one could confuse."""
    found = {"home": HOME}
    for kind in sorted(KINDS - {HOME.kind}):
        found[f"kind {kind}"] = replace(HOME, kind=kind)  # type: ignore[arg-type]  # sorted() widens the literal
    for name in ("organisation", "dataset", "object_id", "schema"):
        value = getattr(HOME, name)
        for label, other in (
            ("other", "south"),
            ("empty", ""),
            ("longer", value + "0"),
            ("shorter", value[:-1]),
            ("NUL", value + "\0"),
        ):
            found[f"{name} {label}"] = replace(HOME, **{name: other})  # type: ignore[arg-type]  # the four are all text
    for version in (0, 2, 4, 3 << 8, 3 << 56):
        found[f"version {version}"] = replace(HOME, version=version)
    found["text moved to the dataset"] = replace(HOME, organisation="nort", dataset="hcases")
    found["text moved to the organisation"] = replace(HOME, organisation="northc", dataset="ases")
    found["fields exchanged"] = replace(HOME, organisation="cases", dataset="north")
    found["id and schema exchanged"] = replace(HOME, object_id="htcds/2.0", schema="77")
    return found


CONTEXTS = _contexts()


@pytest.mark.parametrize("form", FORMS)
def test_no_ciphertext_opens_in_any_other_context(form: str) -> None:
    make, opened = FORMS[form]
    assert len({context.encode() for context in CONTEXTS.values()}) == len(CONTEXTS)
    made = {name: make(context) for name, context in CONTEXTS.items()}
    for there, here in itertools.product(CONTEXTS, repeat=2):
        if there == here:
            assert opened(made[there], CONTEXTS[here])
            continue
        with pytest.raises(SealBrokenError):
            opened(made[there], CONTEXTS[here])


@pytest.mark.parametrize("form", FORMS)
def test_every_flipped_bit_of_a_ciphertext_is_refused(form: str) -> None:
    make, opened = FORMS[form]
    made = make(HOME)
    for position in range(8 * len(made)):
        changed = bytearray(made)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBrokenError):
            opened(bytes(changed), HOME)


@pytest.mark.parametrize("form", FORMS)
def test_a_ciphertext_that_is_cut_or_lengthened_anywhere_is_refused(form: str) -> None:
    make, opened = FORMS[form]
    made = make(HOME)
    for length in range(len(made)):
        with pytest.raises(SealBrokenError):
            opened(made[:length], HOME)
    for longer in (made + b"\0", b"\0" + made, made + made, made[:-16] + bytes(16) + made[-16:]):
        with pytest.raises(SealBrokenError):
            opened(longer, HOME)


@pytest.mark.parametrize("form", FORMS)
def test_the_error_says_the_same_whatever_is_wrong(form: str) -> None:
    make, opened = FORMS[form]
    made = make(HOME)
    wrong = [(b"", HOME), (made[:-1], HOME), (bytes(len(made)), HOME), (made, replace(HOME, dataset="other"))]
    wrong += [(made[:p] + bytes((made[p] ^ 1,)) + made[p + 1 :], HOME) for p in (0, 20, 60, len(made) - 1)]
    said = set()
    for changed, context in wrong:
        with pytest.raises(SealBrokenError) as caught:
            opened(changed, context)
        said.add((str(caught.value), caught.value.__cause__, caught.value.__suppress_context__ or None))
    assert len({message for message, *_ in said}) == 1
    assert all(cause is None for _, cause, _ in said)


def test_another_persons_key_opens_nothing() -> None:
    with pytest.raises(SealBrokenError):
        unseal(new_key(), seal(KEY, PLAINTEXT, HOME), HOME)
    with pytest.raises(SealBrokenError):
        unwrap_key(new_key(), wrap_key(KEY, DEK, HOME), HOME)
    with pytest.raises(SealBrokenError):
        envelope.open_with(envelope.new_key_pair()[0], envelope.seal_to(PUBLIC, PLAINTEXT, HOME), HOME)


# chunks


def _long(chunks: int, mark: int) -> tuple[bytes, list[bytes]]:
    """A header and the chunks of a long sealed object; the last chunk is as long as the others, so any order has the right lengths."""
    made = seal(KEY, b"".join(bytes((mark + index,)) * CHUNK_BYTES for index in range(chunks)), HOME)
    return made[:HEADER_BYTES], [made[start : start + STEP] for start in range(HEADER_BYTES, len(made), STEP)]


def _rearranged() -> Iterator[tuple[str, bytes]]:
    header, parts = _long(3, 0)
    other_header, other = _long(3, 100)
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            yield f"order {order}", header + b"".join(parts[index] for index in order)
    for drop in range(3):
        yield f"without chunk {drop}", header + b"".join(p for index, p in enumerate(parts) if index != drop)
        yield f"chunk {drop} twice", header + b"".join(p * (2 if index == drop else 1) for index, p in enumerate(parts))
        mixed = [*parts[:drop], other[drop], *parts[drop + 1 :]]
        yield f"chunk {drop} of another object", header + b"".join(mixed)
    yield "no chunk", header
    yield "the last chunk alone", header + parts[2]
    yield "the header of another object", other_header + b"".join(parts)
    yield "an empty last chunk", header + b"".join(parts) + parts[0][-16:]
    yield "two objects joined", header + b"".join(parts) + other_header + b"".join(other)


def test_chunks_that_are_moved_dropped_doubled_or_exchanged_are_refused() -> None:
    header, parts = _long(3, 0)
    assert len(unseal(KEY, header + b"".join(parts), HOME)) == 3 * CHUNK_BYTES
    for what, changed in _rearranged():
        with pytest.raises(SealBrokenError):
            unseal(KEY, changed, HOME)
            raise AssertionError(what)


@pytest.mark.parametrize("boundary", [0, 8, 9, 10, 42, 74, 74 + 16, 74 + STEP, 74 + 2 * STEP, 74 + 2 * STEP + 16])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_an_object_of_several_chunks_is_refused_when_it_ends_at_a_boundary(boundary: int, beside: int) -> None:
    header, parts = _long(3, 0)
    whole = header + b"".join(parts)
    with pytest.raises(SealBrokenError):
        unseal(KEY, whole[: max(0, boundary + beside)], HOME)


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_contents_around_a_chunk_boundary_open_as_they_were(length: int) -> None:
    plaintext = hashlib.shake_128(b"long").digest(length)
    made = seal(KEY, plaintext, HOME)
    assert unseal(KEY, made, HOME) == plaintext
    assert len(made) == HEADER_BYTES + length + 16 * max(1, -(-length // CHUNK_BYTES))


def test_a_last_chunk_without_content_is_refused_though_its_tag_is_right() -> None:
    """Else one content had two ciphertexts."""
    salt = new_key()
    encoded = HOME.encode()
    message_key, commitment = sealed._derive(KEY, salt, encoded)
    header = sealed._PREFIX + salt + commitment
    data = sealed._additional_data(encoded, header)
    cipher = AESGCM(message_key)
    full = cipher.encrypt(sealed.chunk_nonce(0, last=False), bytes(CHUNK_BYTES), data)
    empty = cipher.encrypt(sealed.chunk_nonce(1, last=True), b"", data)
    with pytest.raises(SealBrokenError):
        unseal(KEY, header + full + empty, HOME)


# two keys: AES-GCM alone lets whoever knows two keys make one ciphertext for both


def _multiply(x: int, y: int) -> int:
    """In GF(2^128) of GCM (NIST SP 800-38D, algorithm 1)."""
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def _inverse(x: int) -> int:
    power, result = x, 1 << 127
    for _ in range(127):  # x^(2^128 - 2)
        power = _multiply(power, power)
        result = _multiply(result, power)
    return result


def _block(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block), "big")


def _ghash(h: int, data: bytes, body: bytes) -> int:
    def padded(part: bytes) -> bytes:
        return part + bytes(-len(part) % 16)

    stream = padded(data) + padded(body) + (8 * len(data)).to_bytes(8, "big") + (8 * len(body)).to_bytes(8, "big")
    total = 0
    for start in range(0, len(stream), 16):
        total = _multiply(total ^ int.from_bytes(stream[start : start + 16], "big"), h)
    return total


def _for_two_keys(one: bytes, other: bytes, nonce: bytes, data: bytes, head: bytes) -> bytes:
    """A body whose tag is right under both keys: its last block is solved for."""
    h1, h2 = _block(one, bytes(16)), _block(other, bytes(16))
    mask = _block(one, nonce + b"\0\0\0\1") ^ _block(other, nonce + b"\0\0\0\1")
    body = head + bytes(16)
    difference = _ghash(h1, data, body) ^ _ghash(h2, data, body) ^ mask
    weight = _multiply(h1, h1) ^ _multiply(h2, h2)  # the last block is multiplied twice: by itself and with the lengths
    free = _multiply(difference, _inverse(weight))
    body = head + free.to_bytes(16, "big")
    tag = _ghash(h1, data, body) ^ _block(one, nonce + b"\0\0\0\1")
    return body + tag.to_bytes(16, "big")


def test_a_ciphertext_made_for_two_keys_opens_under_the_one_it_is_committed_to_only() -> None:
    other = new_key()
    salt, encoded = new_key(), HOME.encode()
    message_key, commitment = sealed._derive(KEY, salt, encoded)
    second_key, _ = sealed._derive(other, salt, encoded)
    header = sealed._PREFIX + salt + commitment
    data, nonce = sealed._additional_data(encoded, header), sealed.chunk_nonce(0, last=True)
    body = _for_two_keys(message_key, second_key, nonce, data, b"two meanings for one ciphertext.")

    first = AESGCM(message_key).decrypt(nonce, body, data)
    second = AESGCM(second_key).decrypt(nonce, body, data)  # AES-GCM itself accepts both
    assert first != second

    assert unseal(KEY, header + body, HOME) == first
    with pytest.raises(SealBrokenError):
        unseal(other, header + body, HOME)


def test_a_wrapped_key_made_for_two_keys_unwraps_under_the_one_it_is_committed_to_only() -> None:
    other = new_key()
    salt, encoded = new_key(), HOME.encode()
    message_key, commitment = sealed._expand(KEY, salt, encoded)
    second_key, _ = sealed._expand(other, salt, encoded)
    head = bytes((sealed.WRAP_FORMAT,)) + salt + commitment
    body = _for_two_keys(message_key, second_key, bytes(12), encoded + head, b"half of a key...")

    first = AESGCM(message_key).decrypt(bytes(12), body, encoded + head)
    assert AESGCM(second_key).decrypt(bytes(12), body, encoded + head) != first

    assert unwrap_key(KEY, head + body, HOME) == first
    with pytest.raises(SealBrokenError):
        unwrap_key(other, head + body, HOME)


def test_a_commitment_of_the_other_key_does_not_help() -> None:
    """Swapping the commitment in the header changes the additional data, and the tag is wrong under both keys."""
    other = new_key()
    made = seal(KEY, PLAINTEXT, HOME)
    _, commitment = sealed._derive(other, made[10:42], HOME.encode())
    changed = made[:42] + commitment + made[74:]
    for key in (KEY, other):
        with pytest.raises(SealBrokenError):
            unseal(key, changed, HOME)
