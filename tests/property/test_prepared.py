"""Whatever somebody seals to an organisation's public key, or sends as a prepared file: it opens as `prepare` writes it, or one error says that it is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casehaven.intake.errors import PreparedFileError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.sealed_upload import DOCUMENT, MAGIC, allowed_columns, open_prepared
from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.envelope import seal_to
from casehaven.vault.keystore import Keystore
from casehaven.vault.organisation_keys import OrganisationKeys
from casehaven.vault.rootkeys import HeldKey
from caseschemas import load_schema

SCHEMA = load_schema("ctdc-victim-perpetrator")
COLUMNS = [name for name in allowed_columns(SCHEMA)]
NUMBER = bytes(16)


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory) -> OrganisationKeys:
    return Keystore.create(tmp_path_factory.mktemp("keys") / "keys", HeldKey(key=bytes(32))).add_organisation("north")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "x.prepared"


def sealed(keys: OrganisationKeys, content: bytes) -> bytes:
    context = SealContext(kind="upload", organisation="north", object_id=NUMBER.hex(), schema=DOCUMENT)
    return MAGIC + b"\x01" + NUMBER + seal_to(keys.public_key, content, context)


def content_of(document: Any, body: bytes, tail: bytes = b"") -> bytes:
    head = json.dumps(document).encode()
    return prefixed(head) + len(body).to_bytes(8, "big") + body + tail


def good(rows: list[dict[str, str]], columns: list[str] | None = None) -> tuple[dict[str, Any], bytes]:
    names = COLUMNS if columns is None else columns
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    body = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines).encode()
    return {
        "format": DOCUMENT,
        "schema": {"id": SCHEMA.id, "version": SCHEMA.version, "digest": SCHEMA.digest()},
        "columns": names,
        "token_rule": "number/1",
        "linkage_key": "SHA256:x",
        "records_sha256": hashlib.sha256(body).hexdigest(),
    }, body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_as_a_file_are_refused(north: OrganisationKeys, place: Path, data: bytes) -> None:
    for whole in (data, MAGIC + data, MAGIC + b"\x01" + data):
        place.write_bytes(whole)
        with pytest.raises(PreparedFileError):
            open_prepared(place, north, SCHEMA)


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_sealed_bytes_are_refused(north: OrganisationKeys, place: Path, data: bytes) -> None:
    place.write_bytes(sealed(north, data))
    with pytest.raises(PreparedFileError):
        open_prepared(place, north, SCHEMA)


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(["format", "schema", "columns", "token_rule", "linkage_key", "records_sha256"]),
    value=json_values,
)
def test_a_document_with_another_field_is_refused(north: OrganisationKeys, place: Path, name: str, value: Any) -> None:
    document, body = good([])
    place.write_bytes(sealed(north, content_of({**document, name: value}, body)))
    if name in ("token_rule", "linkage_key") and isinstance(value, str):
        assert open_prepared(place, north, SCHEMA).table.num_rows == 0
    else:
        with pytest.raises(PreparedFileError):
            open_prepared(place, north, SCHEMA)


@settings(max_examples=80, deadline=None)
@given(body=st.binary(max_size=300), tail=st.binary(max_size=20))
@example(body=b"\x80\n", tail=b"")
def test_any_records_are_refused_that_are_not_the_columns(
    north: OrganisationKeys, place: Path, body: bytes, tail: bytes
) -> None:
    document, _ = good([])
    changed = {**document, "records_sha256": hashlib.sha256(body).hexdigest()}
    place.write_bytes(sealed(north, content_of(changed, body, tail)))
    with pytest.raises(PreparedFileError):
        open_prepared(place, north, SCHEMA)


@settings(max_examples=80, deadline=None)
@given(
    cells=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), min_size=1, max_size=5
    ),
    token=st.binary(min_size=16, max_size=16),
)
def test_text_in_listed_columns_comes_through_as_text_and_nothing_more(
    north: OrganisationKeys, place: Path, cells: list[str], token: bytes
) -> None:
    rows = [
        {
            "gender": cell,
            "personToken": token.hex(),
            RECORD_KEY: hashlib.sha256(token + bytes([number])).hexdigest()[:32],
        }
        for number, cell in enumerate(cells)
    ]
    document, body = good(rows)
    place.write_bytes(sealed(north, content_of(document, body, bytes(64))))
    found = open_prepared(place, north, SCHEMA)
    assert found.table.column("gender").to_pylist() == cells
    assert found.digest() == hashlib.sha256(body).hexdigest()
    assert [batch.num_rows for batch in found.batches(["gender", RECORD_KEY])] == [len(cells)]
