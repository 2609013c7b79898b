"""A prepared file that was changed, is for somebody else, or was forged is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from casehaven.intake.errors import PreparedFileError, PreparedForAnotherError, PreparedSchemaError, PublicKeyFileError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.public_key_file import read_public_key
from casehaven.intake.sealed_upload import (
    allowed_columns,
    seal_prepared,
)
from casehaven.vault.envelope import new_key_pair
from caseschemas import load_schema

if TYPE_CHECKING:
    from tests.service.prepare.conftest import Agreement

HTCDS = "htcds-2.0"
CANARY = "Canary Xylophone"


def test_every_bit_and_every_cut_is_refused(agreement: Agreement) -> None:
    assert agreement.prepare(agreement.export(people=4)).exit_code == 0
    path = agreement.folder / "out.prepared"
    whole = path.read_bytes()
    head = 25 + 98 + 74
    places = [*range(head), *range(head, len(whole), 997), len(whole) - 1]
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(broken))
        with pytest.raises(PreparedFileError):
            agreement.open()
    for length in [*range(0, head, 3), head, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(PreparedFileError):
            agreement.open()
    path.write_bytes(whole + b"\0")
    with pytest.raises(PreparedFileError):
        agreement.open()
    path.write_bytes(whole)
    assert agreement.open().columns


def test_another_organisation_another_name_and_another_schema_are_refused(agreement: Agreement) -> None:
    assert agreement.prepare(agreement.export(people=4)).exit_code == 0
    with pytest.raises(PreparedForAnotherError, match="not sealed to a key that south has"):
        agreement.open(organisation="south")
    with pytest.raises(PreparedSchemaError, match="another schema than ctdc-global"):
        agreement.open(schema="ctdc-global")
    renamed = replace(agreement.public("north"), organisation="south")  # north's key below south's name
    document = {
        "format": "casehaven-organisation-key/1",
        "organisation": "south",
        "public_key": renamed.public_key.hex(),
        "fingerprint": renamed.fingerprint,
    }
    (agreement.folder / "south.pub").write_text(json.dumps(document), "utf-8")
    assert agreement.prepare(agreement.export(people=4), organisation="south").exit_code == 0
    with pytest.raises(PreparedFileError, match="changed, cut short, or prepared for another one"):
        agreement.open()


def test_a_key_that_was_renewed_still_opens_and_a_forgotten_one_does_not(agreement: Agreement) -> None:
    assert agreement.prepare(agreement.export(people=4)).exit_code == 0
    keys = agreement.vault.keystore.organisation("north")
    keys.renew_upload_key()
    assert agreement.open().columns
    keys.forget_upload_keys()
    with pytest.raises(PreparedForAnotherError):
        agreement.open()


def test_a_forged_file_with_text_where_hashes_belong_is_refused(agreement: Agreement) -> None:
    schema, to = load_schema(HTCDS), agreement.public("north")
    good = {name: [""] for name in allowed_columns(schema)} | {"personToken": ["0" * 32], RECORD_KEY: ["1" * 32]}
    path = agreement.folder / "forged.prepared"

    def forged(columns: dict[str, list[str]]) -> None:
        path.write_bytes(seal_prepared(pa.table(columns), schema, "names-birth/1", "x", to))

    forged(good)
    assert agreement.open("forged.prepared").columns
    for name, cell in (
        ("personToken", "Ana Example"),
        (RECORD_KEY, "7"),
        ("caseReference", "C-1"),
        ("personToken", ""),
    ):
        forged(good | {name: [cell]})
        with pytest.raises(PreparedFileError, match="not a keyed hash"):
            agreement.open("forged.prepared")
    twice = {name: cells * 2 for name, cells in good.items()}
    forged(twice)
    assert agreement.open("forged.prepared").columns
    for name, cells in (("con_Consent", ["TRUE", "FALSE"]), ("personToken", ["0" * 32, "2" * 32])):
        forged(twice | {name: cells})
        with pytest.raises(PreparedFileError, match="one record with two contents"):
            agreement.open("forged.prepared")
    forged(good | {"prs_FirstName": ["Ana"]})
    with pytest.raises(PreparedFileError, match="does not write"):
        agreement.open("forged.prepared")
    forged({name: cells for name, cells in good.items() if name != "prs_Gender"})
    with pytest.raises(PreparedFileError, match="does not write"):
        agreement.open("forged.prepared")


def test_the_length_says_little_of_how_many_records_there_are(agreement: Agreement) -> None:
    sizes = []
    for people in (1, 20, 60):
        assert agreement.prepare(agreement.export(people=people)).exit_code == 0
        sizes.append((agreement.folder / "out.prepared").stat().st_size)
    assert sizes[0] == sizes[1] == sizes[2]


CHANGED = "the fingerprint is not that of the key"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"organisation": "south"}, CHANGED),
        ({"public_key": new_key_pair()[1].hex()}, CHANGED),
        ({"fingerprint": "SHA256:x"}, CHANGED),
        ({"format": "x"}, "holds no organisation's public key"),
        ({"public_key": "zz"}, "missing or malformed"),
        ({"organisation": 7}, "missing or malformed"),
    ],
)
def test_a_changed_public_key_file_is_refused(agreement: Agreement, change: dict[str, object], said: str) -> None:
    path = agreement.folder / "north.pub"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(PublicKeyFileError, match=said):
        read_public_key(path)


def test_an_organisation_that_is_new_to_the_vault_gets_its_keys_only_when_asked(agreement: Agreement) -> None:
    places = ("--vault", agreement.folder / "vault", "--root-key", f"file:{agreement.folder / 'root.key'}")
    refused = agreement.run("vault", "keys", "public", "west", "-o", agreement.folder / "west.pub", *places)
    assert refused.exit_code == 1 and not (agreement.folder / "west.pub").exists()
    made = agreement.run("vault", "keys", "public", "west", "--new", "-o", agreement.folder / "west.pub", *places)
    assert made.exit_code == 0 and agreement.public("west").fingerprint in made.output
    again = agreement.run("vault", "keys", "public", "west", "--new", "-o", agreement.folder / "west2.pub", *places)
    assert again.exit_code == 0 and agreement.public("west2") == agreement.public("west")
