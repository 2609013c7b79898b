"""A prepared file: records that left an organisation sealed to its public key, and what the vault makes of them.

1. Nothing in the file can be read without the organisation's private key but its format, a random number and the start of a hash of the key. Its length is padded: it says
   within a sixteenth how long the records are.
2. It is bound to the organisation and to its own number. A changed bit, a cut, another organisation, another key: refused, and nothing of it is used.
3. Anybody can seal to a public key, so what is inside is not trusted: the schema has to be the dataset's, the columns are among those that `prepare` writes, cells are text, and person tokens,
   record keys and references have the form of keyed hashes, and a record key has one content. What is no value of the schema becomes what any cell outside the list becomes.
4. It says when it was prepared, so that files are taken in in their order (`prepared_history`). Files of earlier versions say nothing; they are read all the same.
5. The digest of a prepared file is that of its records: prepared twice, the same records are known again.

Layout (docs/spec/prepare.md):

    prepared = "CHPREPAR" | u8 format = 1 | number 16 | envelope
    content  = lp(document) | u64 length | records (CSV) | zero bytes
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from casehaven.intake.errors import PreparedFileError, PreparedForAnotherError, PreparedSchemaError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.public_key_file import OrganisationPublicKey
from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.envelope import key_id, recipient, seal_to
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.organisation_keys import OrganisationKeys
from caseschemas import CaseSchema

__all__ = ["FORMAT", "MAGIC", "PreparedFile", "allowed_columns", "is_prepared", "open_prepared", "seal_prepared"]

MAGIC: Final = b"CHPREPAR"
FORMAT: Final = 1
DOCUMENT: Final = "casehaven-prepared/1"
PREPARED_AT: Final = "%Y-%m-%dT%H:%M:%SZ"
"""How the time of preparing is written, in UTC."""
LARGEST: Final = 512 << 20
"""Bytes of a prepared file."""

_HEAD: Final = len(MAGIC) + 1
_NUMBER: Final = 16
_BATCH_ROWS: Final = 1 << 17
_LEAST_STEP: Final = 1 << 16
_TOKEN: Final = r"^[0-9a-f]{32}$"
_TIME: Final = re.compile("[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z")
_SHA256: Final = re.compile("[0-9a-f]{64}")


def allowed_columns(schema: CaseSchema) -> tuple[str, ...]:
    """Return the columns that a prepared file of a schema may have: analysis, consent, the person key, the case reference; the record key last."""
    names = (
        attribute.name
        for attribute in schema.attributes
        if (attribute.role in ("analysis", "consent", "person") and attribute.derived is None)
        or attribute.name == "caseReference"
    )
    return (*names, RECORD_KEY)


def is_prepared(path: Path) -> bool:
    """Whether a file says that it is a prepared one."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def seal_prepared(
    table: pa.Table, schema: CaseSchema, rule: str, linkage: str, to: OrganisationPublicKey, at: datetime | None = None
) -> bytes:
    """Return a prepared file.

    Args:
        table: the records, as text; columns as in `allowed_columns`.
        schema: of the records.
        rule: that made the person tokens.
        linkage: fingerprint of the linkage key.
        to: whose records they are, and the key that they are sealed to.
        at: when; now by default.
    """
    records = pa.BufferOutputStream()
    pacsv.write_csv(table, records, pacsv.WriteOptions(quoting_style="all_valid"))
    body = records.getvalue().to_pybytes()
    document = {
        "format": DOCUMENT,
        "schema": {"id": schema.id, "version": schema.version, "digest": schema.digest()},
        "columns": table.column_names,
        "token_rule": rule,
        "linkage_key": linkage,
        "records_sha256": hashlib.sha256(body).hexdigest(),
        "prepared_at": (datetime.now(UTC) if at is None else at).strftime(PREPARED_AT),
    }
    head = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    content = prefixed(head) + len(body).to_bytes(8, "big") + body
    number = os.urandom(_NUMBER)
    envelope = seal_to(to.public_key, content + bytes(_padding(len(content))), _context(to.organisation, number))
    return MAGIC + bytes((FORMAT,)) + number + envelope


def _padding(length: int) -> int:
    """How many bytes to add: up to a step of at least 64 KiB, and of at least a sixteenth (rule 1).

    >>> [length + _padding(length) for length in (1, 65_536, 1 << 20, (1 << 20) + 1)]
    [65536, 65536, 1048576, 1114112]
    """
    step = max(_LEAST_STEP, 1 << max(length.bit_length() - 5, 0))
    return -length % step


def _context(organisation: str, number: bytes) -> SealContext:
    return SealContext(kind="upload", organisation=organisation, object_id=number.hex(), schema=DOCUMENT)


@dataclass(frozen=True, kw_only=True)
class PreparedFile:
    """An opened prepared file, as a case file of the schema: what `take_in` takes."""

    path: Path
    """The sealed file."""
    columns: tuple[str, ...]
    """In the order of the file; the record key is one of them."""
    token_rule: str
    """What made the person tokens."""
    linkage_key: str
    """Fingerprint of the linkage key under which they were made."""
    sha256: str
    """Of the records."""
    prepared_at: str | None = None
    """When, in UTC; None in files of versions that did not write it."""
    table: pa.Table = field(repr=False)

    def digest(self) -> str:
        """Return the SHA-256 of the records, as hex (rule 5)."""
        return self.sha256

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the records, only the columns asked for."""
        yield from self.table.select(list(columns)).to_batches(max_chunksize=_BATCH_ROWS)


def open_prepared(path: Path, keys: OrganisationKeys, schema: CaseSchema) -> PreparedFile:
    """Open a prepared file with the keys of the organisation that it is for.

    Raises:
        PreparedFileError: it is not whole, or holds what `prepare` does not write.
        PreparedForAnotherError: it was sealed to a key that this organisation has not.
        PreparedSchemaError: it was made for another schema.
    """
    name = path.name
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise PreparedFileError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise PreparedFileError(f"{name} is larger than {LARGEST >> 20} MiB; prepare it in parts")
    if not data.startswith(MAGIC) or len(data) < _HEAD + _NUMBER:
        raise PreparedFileError(f"{name} is no prepared file, or was cut short")
    if data[len(MAGIC)] != FORMAT:
        raise PreparedFileError(f"{name} has format {data[len(MAGIC)]} of prepared files; this version reads {FORMAT}")
    number, envelope = data[_HEAD : _HEAD + _NUMBER], data[_HEAD + _NUMBER :]
    try:
        content = keys.open_upload(envelope, _context(keys.organisation, number))
    except SealBrokenError:
        known = {key_id(key) for key in keys.upload_public_keys}
        if recipient(envelope) not in known:
            raise PreparedForAnotherError(
                f"{name} was not sealed to a key that {keys.organisation} has, or was changed on its way"
            ) from None
        raise PreparedFileError(
            f"{name} is not as it was sealed for {keys.organisation}: changed, cut short, or prepared for another one"
        ) from None
    return _read(path, content, schema)


def _read(path: Path, content: bytes, schema: CaseSchema) -> PreparedFile:
    """Read what was sealed; none of it is trusted (rule 3)."""
    head_length = int.from_bytes(content[:4], "big")
    try:
        unverified: Any = json.loads(content[4 : 4 + head_length].decode("utf-8"))
    except (ValueError, RecursionError):
        unverified = None
    if not isinstance(unverified, dict) or unverified.get("format") != DOCUMENT:
        raise PreparedFileError(f"{path.name} holds no records of the format {DOCUMENT}")
    if unverified.get("schema") != {"id": schema.id, "version": schema.version, "digest": schema.digest()}:
        raise PreparedSchemaError(f"{path.name} was prepared for another schema than {schema.id} {schema.version}")
    columns, rule, linkage = (unverified.get(name) for name in ("columns", "token_rule", "linkage_key"))
    at = unverified.get("prepared_at")
    allowed, key = allowed_columns(schema), schema.person_key
    needed = {attribute.name for attribute in schema.recorded} | {RECORD_KEY, key}
    start = 4 + head_length + 8
    length = int.from_bytes(content[start - 8 : start], "big")
    body = content[start : start + length]
    fits = (
        isinstance(columns, list)
        and all(isinstance(column, str) for column in columns)
        and len(set(columns)) == len(columns)
        and needed <= set(columns) <= set(allowed)
        and isinstance(rule, str)
        and isinstance(linkage, str)
        and (at is None or _is_time(at))
        and len(body) == length
        and not any(content[start + length :])
        and unverified.get("records_sha256") == hashlib.sha256(body).hexdigest()
    )
    if not fits or not isinstance(columns, list):
        raise PreparedFileError(f"{path.name} holds what `casehaven prepare` does not write")
    table = _table(path, body, columns)
    rows = table.group_by(columns, use_threads=False).aggregate([])
    if len(pc.unique(rows.column(RECORD_KEY))) != rows.num_rows:
        raise PreparedFileError(f"{path.name}: it holds one record with two contents; prepare the file again")
    for name in (key, RECORD_KEY, "caseReference"):
        if name in columns and not _all_hashes(table.column(name), empty=name == "caseReference"):
            raise PreparedFileError(
                f"{path.name}: the column {name} holds what is not a keyed hash; prepare the file again"
            )
    return PreparedFile(
        path=path, columns=tuple(columns), token_rule=str(rule), linkage_key=str(linkage),
        sha256=hashlib.sha256(body).hexdigest(), table=table, prepared_at=at,
    )  # fmt: skip


def _is_time(text: object) -> bool:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return False
    try:
        datetime.strptime(text, PREPARED_AT)
    except ValueError:
        return False
    return True


def _table(path: Path, body: bytes, columns: Sequence[str]) -> pa.Table:
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False, null_values=[]
    )
    parse = pacsv.ParseOptions(newlines_in_values=True)
    read = pacsv.ReadOptions(use_threads=False)
    try:
        table = pacsv.read_csv(pa.BufferReader(body), read_options=read, parse_options=parse, convert_options=convert)
        names = table.column_names
    except (pa.ArrowException, UnicodeDecodeError):  # the second where a name is not UTF-8
        raise PreparedFileError(f"{path.name}: its records cannot be read") from None
    if names != list(columns):
        raise PreparedFileError(f"{path.name}: its records have other columns than it says")
    return table


def _all_hashes(column: pa.ChunkedArray, *, empty: bool) -> bool:
    fits = pc.match_substring_regex(column, _TOKEN)
    if empty:
        fits = pc.or_(fits, pc.equal(column, ""))
    return bool(pc.all(fits, min_count=0).as_py())
