"""Signing keys, signatures over manifests, and the trust store."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from casesynth.signing import (
    BadSignatureError,
    LooseKeyFileError,
    PassphraseNeededError,
    PublicKey,
    PublicKeyError,
    SigningKey,
    SigningKeyError,
    TrustStore,
    TrustStoreError,
    parse_signature,
)

MANIFEST = b'{"format":"casehaven-release/1"}'


# --- the key file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, b"correct horse", "päßwort".encode()])
def test_a_saved_key_is_the_same_key_when_loaded(tmp_path: Path, passphrase: bytes | None) -> None:
    key = SigningKey.create()
    key.save(tmp_path / "key.pem", passphrase)
    assert SigningKey.load(tmp_path / "key.pem", passphrase).public_key == key.public_key
    head = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" if passphrase else b"-----BEGIN PRIVATE KEY-----"
    assert (tmp_path / "key.pem").read_bytes().startswith(head)


def test_only_the_owner_may_read_a_key_file_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        SigningKey.create().save(tmp_path / "key.pem")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]  # no temporary file is left


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    first = SigningKey.create()
    first.save(tmp_path / "key.pem")
    with pytest.raises(SigningKeyError, match="never overwritten"):
        SigningKey.create().save(tmp_path / "key.pem")
    assert SigningKey.load(tmp_path / "key.pem").public_key == first.public_key
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o700 | 0o001])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    SigningKey.create().save(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(LooseKeyFileError, match=f"{mode:04o}, expected 0600"):
        SigningKey.load(tmp_path / "key.pem")


def test_the_passphrase_must_fit(tmp_path: Path) -> None:
    key = SigningKey.create()
    key.save(tmp_path / "closed.pem", b"right")
    key.save(tmp_path / "open.pem")
    with pytest.raises(SigningKeyError, match="does not open with this passphrase"):
        SigningKey.load(tmp_path / "closed.pem", b"wrong")
    with pytest.raises(PassphraseNeededError, match="needs a passphrase"):
        SigningKey.load(tmp_path / "closed.pem")
    with pytest.raises(SigningKeyError, match="has no passphrase"):
        SigningKey.load(tmp_path / "open.pem", b"right")
    with pytest.raises(SigningKeyError, match="empty"):
        key.save(tmp_path / "empty.pem", b"")


def test_what_is_not_an_ed25519_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="no signing key at"):
        SigningKey.load(tmp_path / "missing.pem")
    with pytest.raises(SigningKeyError, match="not a regular file"):
        SigningKey.load(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SigningKeyError, match="not a regular file"):
        SigningKey.load(tmp_path / "pipe")
    (tmp_path / "text.pem").write_text("not a key")
    (tmp_path / "text.pem").chmod(0o600)
    with pytest.raises(SigningKeyError, match="not a PEM private key"):
        SigningKey.load(tmp_path / "text.pem")
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "other.pem").write_bytes(other)
    (tmp_path / "other.pem").chmod(0o600)
    with pytest.raises(SigningKeyError, match="expected Ed25519"):
        SigningKey.load(tmp_path / "other.pem")


def test_a_key_is_not_written_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="cannot be written"):
        SigningKey.create().save(tmp_path / "no folder" / "key.pem")


def test_a_key_shows_its_fingerprint_and_never_itself(tmp_path: Path) -> None:
    key = SigningKey.create()
    key.save(tmp_path / "key.pem")
    secret = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    assert isinstance(secret, Ed25519PrivateKey)
    assert base64.b64encode(secret.private_bytes_raw()).decode() not in repr(key)
    assert repr(key) == f"SigningKey({key.public_key.fingerprint})"


# --- signatures -----------------------------------------------------------------------------------------------------------


def test_a_fingerprint_is_the_sha256_of_the_raw_key() -> None:
    key = SigningKey.create().public_key
    assert key.fingerprint == "SHA256:" + base64.b64encode(hashlib.sha256(key.raw).digest()).decode().rstrip("=")


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    key = SigningKey.create()
    signed = b"casehaven-release-manifest/1\n" + len(MANIFEST).to_bytes(8, "big") + MANIFEST
    Ed25519PublicKey.from_public_bytes(key.public_key.raw).verify(key.sign_manifest(MANIFEST).signature, signed)


def test_a_signature_fits_its_manifest_and_no_other() -> None:
    signature = SigningKey.create().sign_manifest(MANIFEST)
    signature.verify(MANIFEST)
    for other in (b"", MANIFEST + b"\n", MANIFEST[:-1], MANIFEST.replace(b"1", b"2")):
        with pytest.raises(BadSignatureError):
            signature.verify(other)


def test_any_flipped_bit_of_the_signature_or_key_is_found() -> None:
    signature = SigningKey.create().sign_manifest(MANIFEST)
    for number in range(64):
        raw = bytearray(signature.signature)
        raw[number] ^= 1
        with pytest.raises(BadSignatureError):
            type(signature)(public_key=signature.public_key, signature=bytes(raw)).verify(MANIFEST)
    for number in range(32):
        raw = bytearray(signature.public_key.raw)
        raw[number] ^= 1
        with pytest.raises(BadSignatureError):
            type(signature)(public_key=PublicKey(raw=bytes(raw)), signature=signature.signature).verify(MANIFEST)


def test_a_signature_file_is_read_back_as_it_was_written() -> None:
    signature = SigningKey.create().sign_manifest(MANIFEST)
    assert parse_signature(signature.to_bytes()) == signature


@pytest.mark.parametrize(
    "change",
    [
        {"format": "casehaven-signature/2"},
        {"algorithm": "none"},
        {"fingerprint": "SHA256:" + "A" * 43},
        {"public_key": base64.b64encode(bytes(31)).decode()},
        {"public_key": 5},
        {"signature": ""},
        {"signature": base64.b64encode(bytes(65)).decode()},
        {"signature": "é" * 88},
        {"extra": 1},
        {"signature": None},
    ],
)
def test_a_signature_file_that_is_not_the_format_is_refused(change: dict[str, Any]) -> None:
    fields = json.loads(SigningKey.create().sign_manifest(MANIFEST).to_bytes())
    with pytest.raises(BadSignatureError):
        parse_signature(json.dumps({**fields, **change}).encode())


def test_a_signature_file_has_one_spelling_of_its_base64() -> None:
    fields = json.loads(SigningKey.create().sign_manifest(MANIFEST).to_bytes())
    loose = fields["signature"][:-3] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[fields["signature"][-3]] + "=="
    assert base64.b64decode(loose) == base64.b64decode(fields["signature"])  # the unused bits differ, the bytes do not
    with pytest.raises(BadSignatureError):
        parse_signature(json.dumps({**fields, "signature": loose}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"format":"casehaven-signature/1","format":"x"}', b"\xff"])
def test_a_signature_file_that_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadSignatureError):
        parse_signature(data)


def test_a_public_key_is_read_from_its_text_only() -> None:
    key = SigningKey.create().public_key
    assert PublicKey.parse(f" {key.text}\n") == key
    for text in ("", key.text[:-4], key.text + "AAAA", "not base64!", "é"):
        with pytest.raises(PublicKeyError):
            PublicKey.parse(text)


# --- the trust store --------------------------------------------------------------------------------------------------------


def test_a_trust_store_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    store = TrustStore().add("Aid Office", SigningKey.create().public_key).add("Büro", SigningKey.create().public_key)
    store.save(tmp_path / "trust.json")
    store.save(tmp_path / "trust.json")
    assert TrustStore.load(tmp_path / "trust.json") == store
    assert [path.name for path in tmp_path.iterdir()] == ["trust.json"]


def test_a_signer_is_known_by_key_and_not_by_name() -> None:
    key = SigningKey.create().public_key
    store = TrustStore().add("Aid Office", key)
    known = store.lookup(key)
    assert known is not None
    assert known.name == "Aid Office"
    assert store.lookup(SigningKey.create().public_key) is None


def test_a_name_stands_for_one_key_and_a_key_for_one_name() -> None:
    key = SigningKey.create().public_key
    store = TrustStore().add("Aid Office", key)
    assert store.add("Aid Office", key) is store
    with pytest.raises(TrustStoreError, match="use another name"):
        store.add("AID office", SigningKey.create().public_key)
    with pytest.raises(TrustStoreError, match="trusted already"):
        store.add("Other", key)


@pytest.mark.parametrize("name", ["", " padded", "padded ", "two\nlines", "bell\x07", "\u202eright to left", "a" * 121])
def test_a_name_is_plain_printable_text(name: str) -> None:
    with pytest.raises(TrustStoreError):
        TrustStore().add(name, SigningKey.create().public_key)


def test_a_trust_store_edited_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore().add("Aid Office", SigningKey.create().public_key).save(path)
    whole = json.loads(path.read_text())
    entry = whole["signers"][0]
    stranger = SigningKey.create().public_key
    edits: list[Any] = [
        {**whole, "format": "casehaven-trust/2"},
        {**whole, "extra": 1},
        {**whole, "signers": {}},
        {**whole, "signers": [5]},
        {**whole, "signers": [{**entry, "public_key": stranger.text}]},
        {**whole, "signers": [{**entry, "name": 5}]},
        {**whole, "signers": [{**entry, "name": ""}]},
        {**whole, "signers": [entry, {**entry, "name": "Other"}]},
        {**whole, "signers": [{"name": "x"}]},
        [],
    ]
    for changed in edits:
        path.write_text(json.dumps(changed))
        with pytest.raises(TrustStoreError):
            TrustStore.load(path)


def test_a_trust_store_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustStoreError, match="no trust store at"):
        TrustStore.load(tmp_path / "none.json")
    with pytest.raises(TrustStoreError):
        TrustStore.load(tmp_path)
    with pytest.raises(TrustStoreError):
        TrustStore().save(tmp_path / "no folder" / "trust.json")
