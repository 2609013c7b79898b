"""Makes the vectors of docs/spec/vault-format.md: `python tests/vectors/vault/make.py FOLDER`, from inputs that this file fixes.

A file of vectors is written once. When a format changes, a new file stands beside the old ones, which must stay readable for ever; the script
refuses to replace one. What can be computed from its inputs alone is: a run gives equal bytes. An envelope and a keystore draw fresh keys, so
theirs differ from run to run; they are fixtures to be opened.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from casehaven.vault.context import SealContext
from casehaven.vault.custodian import Custodian, CustodianKey
from casehaven.vault.envelope import public_key_of, seal_to
from casehaven.vault.escrow import create_packet
from casehaven.vault.keystore import Keystore, RecoveredKeys
from casehaven.vault.rootkeys import HeldKey, PassphraseCost, RootKey, passphrase_key
from casehaven.vault.sealed import CHUNK_BYTES, _seal, _wrap_key

PASSPHRASE = "cinq mots tirés au hasard"
MONTHS = ("2026-10", "2026-11")

CONTEXTS = {
    "record": SealContext(
        kind="record",
        organisation="north",
        dataset="cases",
        version=3,
        object_id="4611686018427387904",
        schema="htcds/2.0",
    ),
    "least": SealContext(kind="chunk", organisation=""),
    "shifted": SealContext(kind="chunk", organisation="a", dataset="bc", object_id="d"),
    "shifted back": SealContext(kind="chunk", organisation="ab", dataset="c", object_id="d"),
    "not ASCII": SealContext(kind="detail", organisation="nord", object_id="réf ٣", version=2**63 - 1),
}


def numbered(label: str) -> bytes:
    """32 bytes that a label stands for."""
    return hashlib.sha256(f"casehaven vault vector {label}".encode()).digest()


def sealed_vectors() -> list[dict[str, object]]:
    """Sealed bytes of 0 bytes, some bytes, exactly one chunk, and a chunk and a byte. Long ones are named by their SHA-256."""
    vectors: list[dict[str, object]] = []
    for length in (0, 1, 500, CHUNK_BYTES, CHUNK_BYTES + 1):
        plaintext = bytes(index % 251 for index in range(500)) if length == 500 else b"\x5a" * length
        key, salt = numbered(f"key {length}"), numbered(f"salt {length}")
        sealed = _seal(key, plaintext, CONTEXTS["record"], salt)
        vector: dict[str, object] = {"context": "record", "key": key.hex(), "salt": salt.hex(), "length": length}
        if length <= 500:
            vector |= {"plaintext": plaintext.hex(), "sealed": sealed.hex()}
        else:
            vector |= {"plaintext_every_byte": "5a", "sealed_sha256": hashlib.sha256(sealed).hexdigest()}
        vectors.append(vector)
    return vectors


def deterministic() -> dict[str, object]:
    """The vectors that follow from their inputs."""
    wrapping, key, salt = numbered("wrapping"), numbered("wrapped"), numbered("wrap salt")
    return {
        "contexts": {
            name: {"fields": asdict(context), "encoded": context.encode().hex()} for name, context in CONTEXTS.items()
        },
        "sealed": sealed_vectors(),
        "wrapped": [
            {
                "context": name,
                "wrapping": wrapping.hex(),
                "key": key.hex(),
                "salt": salt.hex(),
                "wrapped": _wrap_key(wrapping, key, context, salt).hex(),
            }
            for name, context in CONTEXTS.items()
        ],
    }


def fixtures() -> dict[str, object]:
    """What is opened, not made again."""
    private = numbered("private")
    context = SealContext(kind="upload", organisation="north", dataset="cases", object_id="u1")
    made = []
    roots: dict[str, RootKey] = {
        "key": HeldKey(key=numbered("root")),
        "passphrase": passphrase_key(PASSPHRASE, PassphraseCost(memory_kib=1024, iterations=1, lanes=1)),
    }
    for kind, root in roots.items():
        with tempfile.TemporaryDirectory() as folder:
            keystore = Keystore.create(Path(folder) / "keys", root)
            north = keystore.add_organisation("north", epoch=MONTHS[0])
            dek_context = SealContext(kind="person-key", organisation="north", dataset="cases", object_id="7")
            wrapped = {MONTHS[0]: north.wrap_dek(numbered("dek"), dek_context).hex()}
            north.begin_epoch(MONTHS[1])
            wrapped[MONTHS[1]] = north.wrap_dek(numbered("dek"), dek_context).hex()
            made.append(
                {
                    "root": kind,
                    "secret": PASSPHRASE if kind == "passphrase" else numbered("root").hex(),
                    "keystore.json": json.loads((Path(folder) / "keys" / "keystore.json").read_text("utf-8")),
                    "dek": numbered("dek").hex(),
                    "dek_context": asdict(dek_context),
                    "wrapped_deks": wrapped,
                    "index_key_of_case_reference": north.index_key("case_reference").hex(),
                    "linkage_key": keystore.linkage_key().hex(),
                }
            )
    return {
        "envelopes": [
            {
                "private": private.hex(),
                "context": asdict(context),
                "plaintext": b"an upload".hex(),
                "envelope": seal_to(public_key_of(private), b"an upload", context).hex(),
            }
        ],
        "keystores": made,
    }


def escrow() -> dict[str, object]:
    """A packet that two of three custodians open."""
    held = [CustodianKey(numbered(f"custodian {number}")) for number in range(3)]
    custodians = [
        Custodian(name=f"Office {number}", organisation=f"keeper-{number}", public_key=key.public_key)
        for number, key in enumerate(held)
    ]
    keys = RecoveredKeys(
        organisation="north",
        epoch=MONTHS[1],
        epoch_key=numbered("epoch"),
        index_secret=numbered("index"),
    )
    told: list[object] = []
    packet = create_packet(keys, numbered("keystore").hex()[:32], custodians, 2, log=told.append, notify=told.append)
    return {
        "custodians": [key.private.hex() for key in held],
        "packet": json.loads(packet.to_bytes()),
        "epoch_key": keys.epoch_key.hex(),
        "index_secret": keys.index_secret.hex(),
    }


def main() -> None:
    """Write format-1.json (from inputs), fixtures-1.json and escrow-1.json (to be opened)."""
    folder = Path(sys.argv[1])
    made = (("format-1.json", deterministic()), ("fixtures-1.json", fixtures()), ("escrow-1.json", escrow()))
    for name, content in made:
        with (folder / name).open("x", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=True)
            file.write("\n")


if __name__ == "__main__":
    main()
