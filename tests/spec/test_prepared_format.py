"""docs/spec/prepare.md, read by a second program: this file opens the published file without a line of `casehaven.intake` or `casehaven.vault`.

Where it and the software differ, one of them is wrong.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import struct
import unicodedata
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casehaven.intake.linkage_key import LinkageKey
from casehaven.intake.prepare_tokens import person_tokens, record_token, reference_token
from casehaven.intake.public_key_file import OrganisationPublicKey
from caseschemas import load_schema

FILE = Path(__file__).resolve().parents[1] / "vectors" / "prepared" / "prepared-1.json"
VECTOR: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
FROZEN = "66d71d6ee0e917051a9f769892be6f76942b2a5144ee5a89e54b04dcf3078896"
"""SHA-256 of the published file. A format that changes gets a new one; this stays, and stays readable."""


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def opened(sealed: bytes, private: bytes, organisation: str) -> tuple[dict[str, Any], list[list[str]]]:
    """Open a prepared file as the page says; the document and the rows."""
    assert sealed[:8] == b"CHPREPAR" and sealed[8] == 1
    number, envelope = sealed[9:25], sealed[25:]
    fields = [
        b"upload",
        organisation.encode(),
        b"",
        struct.pack(">Q", 0),
        number.hex().encode(),
        b"casehaven-prepared/1",
    ]
    context = lp(b"casehaven-vault-context/1") + b"".join(map(lp, fields))

    header, sent, body = envelope[:18], envelope[18:98], envelope[98:]
    assert header[:10] == b"CHENVLOP\x01\x01"
    key = X25519PrivateKey.from_private_bytes(private)
    assert header[10:] == hashlib.sha256(key.public_key().public_bytes_raw()).digest()[:8]
    info = lp(b"casehaven-vault-envelope/1") + lp(header) + context
    content_key = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(sent, key, info=info)

    prefix, salt, commitment, chunk = body[:10], body[10:42], body[42:74], body[74:]
    assert prefix == b"CHSEALED\x01\x01"
    derived = HKDF(
        algorithm=hashes.SHA512(), length=64, salt=salt, info=lp(b"casehaven-vault-sealed/1") + lp(prefix) + context
    ).derive(content_key)
    assert derived[32:] == commitment
    additional = lp(prefix) + context + lp(hashlib.sha256(body[:74]).digest())
    assert len(chunk) < 4 * 1024 * 1024
    content = AESGCM(derived[:32]).decrypt(bytes(11) + b"\x01", chunk, additional)

    length = int.from_bytes(content[:4], "big")
    document = json.loads(content[4 : 4 + length])
    start = 4 + length + 8
    size = int.from_bytes(content[start - 8 : start], "big")
    records, rest = content[start : start + size], content[start + size :]
    assert not any(rest) and len(content) % 65_536 == 0
    assert document["records_sha256"] == hashlib.sha256(records).hexdigest()
    return document, list(csv.reader(io.StringIO(records.decode("utf-8"), newline="")))


def made(label: str, *parts: str | bytes) -> str:
    encoded = b"".join(lp(part if isinstance(part, bytes) else part.encode()) for part in parts)
    key = bytes.fromhex(VECTOR["linkage_key"])
    return hmac.digest(key, lp(f"casehaven-prepared-{label}/1".encode()) + encoded, "sha256")[:16].hex()


def test_the_published_file_is_as_it_was_published() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == FROZEN


def test_another_program_opens_the_published_file() -> None:
    document, rows = opened(
        bytes.fromhex(VECTOR["sealed"]), bytes.fromhex(VECTOR["private_key"]), VECTOR["organisation"]
    )
    assert document["format"] == "casehaven-prepared/1"
    assert {name: document["schema"][name] for name in ("id", "version")} == VECTOR["schema"]
    assert document["token_rule"] == "names-birth/1"
    assert document["linkage_key"] == VECTOR["linkage_fingerprint"]
    assert rows[0] == document["columns"]
    columns = {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}
    assert columns == VECTOR["records"]


def test_tokens_are_those_of_the_page() -> None:
    compound = lp(b"example test zoe") + lp(b"1999-3-4")
    by_name = made("person", "htcds-2.0", "names-birth/1", compound)
    by_number = made("person", "htcds-2.0", "number/1", "north", "A 18")
    ambiguous = made("person", "htcds-2.0", "number/1", "north", "19")  # 04/03/1999 is a day in March or in April
    assert VECTOR["tokens"] == [by_name, by_name, by_number, ambiguous]
    assert VECTOR["tokens_shared_numbers"][2] == made("person", "htcds-2.0", "number/1", "", "A 18")
    assert VECTOR["records"]["#record-key"] == [made("record", "north", f"key {n}") for n in range(4)]
    assert VECTOR["records"]["caseReference"] == [made("reference", "north", f"case {n}") for n in range(4)]


def test_fingerprints_are_those_of_the_page() -> None:
    said = hmac.digest(bytes.fromhex(VECTOR["linkage_key"]), lp(b"casehaven-linkage-fingerprint/1"), "sha256")
    linkage = base64.b64encode(hashlib.sha256(said).digest()).decode().rstrip("=")
    assert VECTOR["linkage_fingerprint"] == f"SHA256:{linkage}"
    name, public = VECTOR["organisation"].encode(), bytes.fromhex(VECTOR["public_key"])
    digest = hashlib.sha256(lp(b"casehaven-organisation-key/1") + lp(name) + lp(public)).digest()
    assert VECTOR["public_fingerprint"] == f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def test_the_software_makes_the_same_tokens_today() -> None:
    key, schema = LinkageKey(key=bytes.fromhex(VECTOR["linkage_key"])), load_schema("htcds-2.0")
    people = VECTOR["people"]
    identifiers = {name: [one[name] for one in people] for name in people[0] if name != "person"}
    persons = [one["person"] for one in people]
    assert person_tokens(key, schema, "north", persons, identifiers) == VECTOR["tokens"]
    assert person_tokens(key, schema, "north", persons, identifiers, "shared") == VECTOR["tokens_shared_numbers"]
    assert [record_token(key, "north", f"key {n}") for n in range(4)] == VECTOR["records"]["#record-key"]
    assert [reference_token(key, "north", f" CASE  {n} ") for n in range(4)] == VECTOR["records"]["caseReference"]
    assert key.fingerprint == VECTOR["linkage_fingerprint"]
    public = OrganisationPublicKey(organisation="north", public_key=bytes.fromhex(VECTOR["public_key"]))
    assert public.fingerprint == VECTOR["public_fingerprint"]


def test_a_composed_and_a_decomposed_name_are_one_name() -> None:
    key, schema = LinkageKey(key=bytes(32)), load_schema("htcds-2.0")
    names = [unicodedata.normalize(form, "Zoé Ünal") for form in ("NFC", "NFD")]
    tokens = person_tokens(
        key, schema, "north", ["1", "2"],
        {"prs_FirstName": names, "prs_SecondName": ["Example"] * 2, "prs_Birthdate": ["1990-01-02"] * 2},
    )  # fmt: skip
    assert tokens[0] == tokens[1]
