"""docs/spec/vault-format.md, read by a second program: this file opens the published vectors without a line of casehaven.vault.

The reader below is written from the specification. Where it and the software differ, one of them is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from casehaven.vault.context import SealContext
from casehaven.vault.custodian import CustodianKey
from casehaven.vault.envelope import open_with
from casehaven.vault.escrow import answer_request, open_packet, request_opening
from casehaven.vault.escrow_packet import parse_packet
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey, RootKey, passphrase_key
from casehaven.vault.sealed import _seal, _wrap_key, unseal, unwrap_key

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "vault"
FORMAT_1: dict[str, Any] = json.loads((FOLDER / "format-1.json").read_text(encoding="utf-8"))
FIXTURES_1: dict[str, Any] = json.loads((FOLDER / "fixtures-1.json").read_text(encoding="utf-8"))

ESCROW_1: dict[str, Any] = json.loads((FOLDER / "escrow-1.json").read_text(encoding="utf-8"))

FROZEN = {
    "format-1.json": "9bd49f9291b0e7ff858dde05fc5201d11fc32452005ff96adf8d27214aa1383e",
    "fixtures-1.json": "c50033ba43c574db8ebd5711b6b3529b1383c8d1460c6c8db9ebe566fa82e584",
    "escrow-1.json": "b5e6dc7ef6ca519e7be974759892550c62f9cc07ab2e3d224ae1d8636ce529f6",
}
"""SHA-256 of the published files. A format that changes gets new files; these stay, and stay readable."""


# a second reader


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def encode(fields: dict[str, Any]) -> bytes:
    return (
        lp(b"casehaven-vault-context/1")
        + lp(fields["kind"].encode())
        + lp(fields["organisation"].encode())
        + lp(fields["dataset"].encode())
        + lp(struct.pack(">Q", fields["version"]))
        + lp(fields["object_id"].encode())
        + lp(fields["schema"].encode())
    )


def extract(salt: bytes, secret: bytes, digest: str) -> bytes:
    return hmac.digest(salt, secret, digest)


def expand(key: bytes, info: bytes, digest: str, length: int) -> bytes:
    made, block, number = b"", b"", 1
    while len(made) < length:
        block = hmac.digest(key, block + info + bytes((number,)), digest)
        made, number = made + block, number + 1
    return made[:length]


def read_sealed(key: bytes, sealed: bytes, context: bytes) -> bytes:
    prefix, salt, commitment, body = sealed[:10], sealed[10:42], sealed[42:74], sealed[74:]
    assert prefix == b"CHSEALED\x01\x01"
    info = lp(b"casehaven-vault-sealed/1") + lp(prefix) + context
    made = expand(extract(salt, key, "sha512"), info, "sha512", 64)
    assert made[32:] == commitment
    data = lp(prefix) + context + lp(hashlib.sha256(sealed[:74]).digest())
    step, plain, index = 4 * 1024 * 1024 + 16, b"", 0
    while True:
        piece, body = body[:step], body[step:]
        nonce = index.to_bytes(11, "big") + (b"\0" if body else b"\1")
        plain += AESGCM(made[:32]).decrypt(nonce, piece, data)
        index += 1
        if not body:
            return plain


def read_wrapped(wrapping: bytes, wrapped: bytes, context: bytes) -> bytes:
    head, body = wrapped[:65], wrapped[65:]
    assert head[:1] == b"\x01"
    info = lp(b"casehaven-vault-wrap/1") + lp(head[1:33]) + context
    made = expand(wrapping, info, "sha512", 64)
    assert made[32:] == head[33:]
    return AESGCM(made[:32]).decrypt(bytes(12), body, context + head)


def read_envelope(private: bytes, envelope: bytes, context: bytes) -> bytes:
    header, enc, body, sealed = envelope[:18], envelope[18:50], envelope[50:98], envelope[98:]
    secret = X25519PrivateKey.from_private_bytes(private)
    public = secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert header == b"CHENVLOP\x01\x01" + hashlib.sha256(public).digest()[:8]
    info = lp(b"casehaven-vault-envelope/1") + lp(header) + context

    # RFC 9180: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002, base mode
    def labeled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
        return extract(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")

    def labeled_expand(suite: bytes, key: bytes, label: bytes, more: bytes, length: int) -> bytes:
        return expand(key, struct.pack(">H", length) + b"HPKE-v1" + suite + label + more, "sha256", length)

    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    shared = secret.exchange(X25519PublicKey.from_public_bytes(enc))
    shared = labeled_expand(kem, labeled_extract(kem, b"", b"eae_prk", shared), b"shared_secret", enc + public, 32)
    schedule = (
        b"\0" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    )
    start = labeled_extract(suite, shared, b"secret", b"")
    key = labeled_expand(suite, start, b"key", schedule, 32)
    nonce = labeled_expand(suite, start, b"base_nonce", schedule, 12)
    return read_sealed(AESGCM(key).decrypt(nonce, body, b""), sealed, context)


def fields(kind: str, organisation: str, dataset: str, version: int, object_id: str) -> bytes:
    return encode(
        {
            "kind": kind,
            "organisation": organisation,
            "dataset": dataset,
            "version": version,
            "object_id": object_id,
            "schema": "",
        }
    )


def read_keystore(fixture: dict[str, Any]) -> dict[str, Any]:
    """Every key of a keystore, from its root key, as the specification says."""
    document = fixture["keystore.json"]
    root = document["root"]
    if root["kind"] == "passphrase":
        argon = Argon2id(
            salt=bytes.fromhex(root["salt"]),
            length=32,
            iterations=root["iterations"],
            lanes=root["lanes"],
            memory_cost=root["memory_kib"],
        )
        key = argon.derive(fixture["secret"].encode())
    else:
        key = bytes.fromhex(fixture["secret"])
    identity, version = document["keystore_id"], document["root_version"]
    vault = {
        name: read_wrapped(key, base64.b64decode(wrapped), fields("vault-key", "", identity, version, name))
        for name, wrapped in document["vault"].items()
    }
    rest = {name: value for name, value in document.items() if name != "mac"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hmac.new(vault["document"], canonical, "sha256").hexdigest() == document["mac"]
    north = document["organisations"]["north"]
    context = fields("organisation-key", "north", identity, version, str(north["version"]))
    organisation = read_wrapped(key, base64.b64decode(north["key"]), context)

    def below(kind: str, name: str, wrapped: str) -> bytes:
        context = fields(kind, "north", "", north["version"], name)
        return read_wrapped(organisation, base64.b64decode(wrapped), context)

    return {
        "vault": vault,
        "index": below("index-key", "index", north["index"]),
        "epochs": {epoch["name"]: below("epoch-key", epoch["name"], epoch["key"]) for epoch in north["epochs"]},
    }


# what it finds


@pytest.mark.parametrize("name", FROZEN)
def test_published_vectors_are_as_they_were_published(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == FROZEN[name]


@pytest.mark.parametrize("name", FORMAT_1["contexts"])
def test_a_context_is_written_as_published(name: str) -> None:
    vector = FORMAT_1["contexts"][name]
    assert SealContext(**vector["fields"]).encode().hex() == vector["encoded"]
    assert encode(vector["fields"]).hex() == vector["encoded"]


@pytest.mark.parametrize("vector", FORMAT_1["sealed"], ids=lambda v: f"{v['length']} bytes")
def test_sealed_bytes_are_as_published(vector: dict[str, Any]) -> None:
    context = SealContext(**FORMAT_1["contexts"][vector["context"]]["fields"])
    key, salt = bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"])
    short = "plaintext" in vector
    plaintext = bytes.fromhex(vector["plaintext"]) if short else b"\x5a" * vector["length"]
    sealed = _seal(key, plaintext, context, salt)
    if short:
        assert sealed.hex() == vector["sealed"]
    else:
        assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]
    assert unseal(key, sealed, context) == plaintext
    assert read_sealed(key, sealed, context.encode()) == plaintext


@pytest.mark.parametrize("vector", FORMAT_1["wrapped"], ids=lambda v: v["context"])
def test_wrapped_keys_are_as_published(vector: dict[str, Any]) -> None:
    context = SealContext(**FORMAT_1["contexts"][vector["context"]]["fields"])
    wrapping, key, salt = (bytes.fromhex(vector[name]) for name in ("wrapping", "key", "salt"))
    wrapped = bytes.fromhex(vector["wrapped"])
    assert _wrap_key(wrapping, key, context, salt) == wrapped
    assert unwrap_key(wrapping, wrapped, context) == key
    assert read_wrapped(wrapping, wrapped, context.encode()) == key


@pytest.mark.parametrize("fixture", FIXTURES_1["envelopes"], ids=lambda f: f["context"]["kind"])
def test_an_envelope_of_format_1_opens(fixture: dict[str, Any]) -> None:
    context = SealContext(**fixture["context"])
    private, envelope = bytes.fromhex(fixture["private"]), bytes.fromhex(fixture["envelope"])
    assert open_with(private, envelope, context).hex() == fixture["plaintext"]
    assert read_envelope(private, envelope, context.encode()).hex() == fixture["plaintext"]


@pytest.mark.parametrize("fixture", FIXTURES_1["keystores"], ids=lambda f: f["root"])
def test_a_keystore_of_format_1_opens_and_so_do_its_data_keys(fixture: dict[str, Any], tmp_path: Path) -> None:
    document = json.dumps(fixture["keystore.json"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "keystore.json").write_text(document, encoding="utf-8")
    root: RootKey = (
        passphrase_key(fixture["secret"])
        if fixture["root"] == "passphrase"
        else HeldKey(key=bytes.fromhex(fixture["secret"]))
    )
    keystore = Keystore.open(tmp_path, root)
    north = keystore.organisation("north")
    context = SealContext(**fixture["dek_context"])
    assert north.epochs == tuple(fixture["wrapped_deks"])
    for epoch, wrapped in fixture["wrapped_deks"].items():
        assert north.unwrap_dek(bytes.fromhex(wrapped), epoch, context).hex() == fixture["dek"]
    assert north.index_key("case_reference").hex() == fixture["index_key_of_case_reference"]
    assert keystore.linkage_key().hex() == fixture["linkage_key"]


@pytest.mark.parametrize("fixture", FIXTURES_1["keystores"], ids=lambda f: f["root"])
def test_the_second_reader_finds_the_same_keys_in_a_keystore(fixture: dict[str, Any]) -> None:
    keys = read_keystore(fixture)
    assert keys["vault"]["linkage"].hex() == fixture["linkage_key"]
    for epoch, wrapped in fixture["wrapped_deks"].items():
        assert (
            read_wrapped(keys["epochs"][epoch], bytes.fromhex(wrapped), encode(fixture["dek_context"])).hex()
            == (fixture["dek"])
        )
    info = lp(b"casehaven-vault-index/1") + lp(b"case_reference")
    assert expand(keys["index"], info, "sha512", 32).hex() == fixture["index_key_of_case_reference"]


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)], ids=str)
def test_the_second_reader_opens_an_escrow_packet_with_any_two_of_three_custodians(pair: tuple[int, int]) -> None:
    packet = dict(ESCROW_1["packet"])
    envelopes = [base64.b64decode(each) for each in packet.pop("shares")]
    body = base64.b64decode(packet.pop("body"))
    head = json.dumps(packet, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def context(number: int) -> bytes:
        named = {"kind": "escrow", "organisation": "north", "dataset": packet["keystore_id"], "version": number}
        return encode({**named, "object_id": packet["packet_id"], "schema": hashlib.sha256(head).hexdigest()})

    groups = list(itertools.combinations(range(3), packet["threshold"]))
    total = 0
    for number in pair:
        private = bytes.fromhex(ESCROW_1["custodians"][number])
        shares = read_envelope(private, envelopes[number], context(number + 1))
        mine = [group for group in groups if number in group]
        assert len(shares) == 32 * len(mine)
        cut = [shares[32 * index : 32 * index + 32] for index in range(len(mine))]
        label = lp(b"casehaven-escrow-share/1")
        assert [hashlib.sha256(label + lp(share)).hexdigest() for share in cut] == packet["digests"][number]
        total ^= int.from_bytes(cut[mine.index(pair)], "big")
    keys = read_sealed(total.to_bytes(32, "big"), body, context(0))
    assert keys.hex() == ESCROW_1["epoch_key"] + ESCROW_1["index_secret"]


@pytest.mark.parametrize("pair", [(0, 1), (2, 1)], ids=str)
def test_an_escrow_packet_of_format_1_opens(pair: tuple[int, int]) -> None:
    packet = parse_packet(json.dumps(ESCROW_1["packet"]).encode())
    told: dict[str, Any] = {"log": lambda _: None, "notify": lambda _: None}
    request, key = request_opening(packet, requester="x", reason="x", wait=timedelta(0), **told)
    custodians = [CustodianKey(bytes.fromhex(ESCROW_1["custodians"][number])) for number in pair]
    answers = [answer_request(packet, request, custodian, **told) for custodian in custodians]
    keys = open_packet(packet, request, key, answers, **told)
    assert keys.epoch_key.hex() == ESCROW_1["epoch_key"]
    assert keys.index_secret.hex() == ESCROW_1["index_secret"]
