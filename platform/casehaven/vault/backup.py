"""Backups: a folder of sealed parts that is the same whatever database the vault is on.

1. A backup holds every row of the database and every chunk file, at one moment: while it is written nobody changes records, and its rows are read in one
   transaction.
2. It holds wrapped keys only, and no key that unwraps them: without the keystore nothing in it opens (threat 2). The keystore has a backup apart,
   `casehaven vault keys backup`.
3. What is an organisation's is sealed under a key that is wrapped under the organisation's present epoch. When that epoch's key is destroyed, the
   backup's rows of people are closed for good, erased people among them (threat 3). So a backup lives as long as its epochs, and no longer.
4. Rows of no organisation (the audit log, names of datasets, schemas) are sealed under a key of the vault.
5. Names, numbers of rows and the names of tables are sealed too. What a finder sees: which vault, the day, and how many parts of which padded size.
6. `backup.json` lists each part with its size and SHA-256, and is signed with the vault's key. A part that is changed, dropped, added or taken from another
   backup is refused.
7. A backup is there whole or not at all.
"""

from __future__ import annotations

import base64
import binascii
import glob
import hashlib
import hmac
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from cryptography.exceptions import InvalidSignature
from sqlalchemy import Boolean, Column, Connection, Date, Integer, LargeBinary, Table, Text, select

from casehaven.core import audit_models
from casehaven.core.audit import AuditHead, Clock, now, timestamp
from casehaven.core.db import metadata
from casehaven.core.migrate import version_of
from casehaven.vault import models
from casehaven.vault.context import SealContext
from casehaven.vault.errors import (
    BackupEpochError,
    BackupError,
    BackupExistsError,
    BackupVersionError,
    DamagedBackupError,
    EpochError,
    SealBrokenError,
    UnknownOrganisationError,
)
from casehaven.vault.keystore import Keystore
from casehaven.vault.locks import held
from casehaven.vault.sealed import new_key, seal, unseal, unwrap_key, wrap_key
from casehaven.vault.store import Vault
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, sync_folder, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json

BACKUP_FORMAT = "casehaven-backup/1"
BACKUP_FILE = "backup.json"
CONTENTS_FILE = "contents.part"

PartKind = Literal["rows", "chunk"]

_KEY = b"casehaven-backup-key/1"
_SIGNED = b"casehaven-backup/1\n"
_ROWS = 16_384
_SMALLEST = 1 << 16
_LENGTH_BYTES = 8
_FILE_LIMIT = 1 << 26
_PART_LIMIT = 1 << 33


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a backup, as its sealed contents list it."""

    name: str
    """Of the file."""
    kind: PartKind
    """Rows of a table, or a chunk file."""
    organisation: str
    """Whose; empty for rows of the whole vault."""
    what: str
    """Name of the table, or path of the chunk below the vault's chunks."""


@dataclass(frozen=True, kw_only=True)
class BackupContents:
    """What a backup holds, from its sealed list of contents."""

    revision: str
    """Version of the tables."""
    head: AuditHead
    """Where the audit log ended."""
    keys: Mapping[str, tuple[str, bytes]]
    """Epoch and wrapped key of each organisation."""
    parts: tuple[Part, ...]
    """In the order in which they are restored."""
    counts: Mapping[str, int]
    """Rows of each table."""


@dataclass(kw_only=True)
class _Writer:
    """Writes sealed parts into a folder."""

    folder: Path
    backup_id: str
    keystore: Keystore
    deks: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    listed: list[JsonValue] = field(default_factory=list)

    def add(self, kind: PartKind, organisation: str, what: str, data: bytes) -> None:
        part = Part(name=f"{len(self.parts) + 1:06d}.part", kind=kind, organisation=organisation, what=what)
        self.write(part.name, self.dek(organisation), organisation, data)
        self.parts.append(part)

    def write(self, name: str, dek: bytes, organisation: str, data: bytes) -> None:
        sealed = seal(dek, _padded(data), _context(organisation, self.backup_id, name))
        write_whole(self.folder / name, sealed, mode=0o600, replace=False)
        self.listed.append({"name": name, "size": len(sealed), "sha256": hashlib.sha256(sealed).hexdigest()})

    def dek(self, organisation: str) -> bytes:
        if organisation not in self.deks:
            dek, context = new_key(), _key_context(organisation, self.backup_id)
            if organisation:
                keys = self.keystore.organisation(organisation)
                self.keys[organisation] = (keys.epoch, keys.wrap_dek(dek, context))
            self.deks[organisation] = dek
        return self.deks[organisation]


def write_backup(vault: Vault, folder: Path, *, actor: str | None = None, clock: Clock = now) -> str:
    """Write a backup of a vault into a new folder, and return its id.

    Raises:
        BackupExistsError: something is at the folder already.
        BackupError: a chunk file is damaged, or the folder cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise BackupExistsError(f"{folder} exists already")
    backup_id = os.urandom(16).hex()
    with vault.writing() as connection:
        vault.audit.append(connection, action="vault.backup", object_kind="backup", object_id=backup_id, actor=actor)
    partial = partial_folder(folder)
    try:
        partial.mkdir(mode=0o700)
        writer = _Writer(folder=partial, backup_id=backup_id, keystore=vault.keystore)
        with ExitStack() as stack:
            for organisation in sorted(vault.keystore.organisations):
                stack.enter_context(
                    held(vault.folder.lock(f"organisation-{organisation}"), alone=True, what=organisation)
                )  # rule 1
            connection = stack.enter_context(vault.database.transaction(writes=False))
            _write_parts(vault, connection, writer, timestamp(clock())[:10])
        sync_folder(partial)
        if folder.exists():  # a race is lost with an error, too: a folder never takes the place of a full one
            raise BackupExistsError(f"{folder} exists already")
        partial.rename(folder)
        sync_folder(folder.absolute().parent)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return backup_id


def partial_folder(folder: Path) -> Path:
    """Return where a backup or a vault is made before it gets its name; what a killed attempt left there is removed."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    return folder.with_name(f".{folder.name}.{os.urandom(8).hex()}.partial")


def _write_parts(vault: Vault, connection: Connection, writer: _Writer, day: str) -> None:
    counts: dict[str, int] = {}
    owners = {row.dataset_id: row.organisation for row in connection.execute(select(models.dataset))}
    organisations = sorted(set(owners.values()))
    for table in _tables():
        for organisation in organisations if _owned(table) else [""]:
            mine = [number for number, owner in owners.items() if owner == organisation]
            for rows in _batches(connection, table, mine):
                counts[table.name] = counts.get(table.name, 0) + len(rows)
                writer.add("rows", organisation, table.name, _arrow(table, rows))
    for row in connection.execute(select(models.chunk).order_by(models.chunk.c.chunk_id)).all():
        data = vault.chunk_file(row).read_bytes()
        if hashlib.sha256(data).digest() != bytes(row.sealed_sha256):
            raise BackupError(
                f"chunk {row.chunk_id} is damaged; restore it from an earlier backup before making another"
            )
        writer.add("chunk", owners[row.dataset_id], row.path, data)
    head = vault.audit.head(connection)
    contents: JsonValue = {
        "revision": version_of(connection),
        "head": {"positions": head.positions, "chain": head.chain.hex(), "at": head.at},
        "keys": {name: [epoch, wrapped.hex()] for name, (epoch, wrapped) in writer.keys.items()},
        "parts": [[part.name, part.kind, part.organisation, part.what] for part in writer.parts],
        "counts": counts,
    }
    dek = new_key()
    writer.write(CONTENTS_FILE, dek, "", canonical_json(contents))
    vault_dek = writer.dek("")
    document: dict[str, JsonValue] = {
        "format": BACKUP_FORMAT,
        "backup_id": writer.backup_id,
        "vault_id": vault.vault_id,
        "day": day,
        "contents_key": _wrap(vault.keystore, dek, writer.backup_id, "contents"),
        "vault_key": _wrap(vault.keystore, vault_dek, writer.backup_id, "vault"),
        "parts": writer.listed,
    }
    signature = vault.keystore.signing_key().sign(_message(document))
    document["signature"] = base64.b64encode(signature).decode("ascii")
    write_whole(writer.folder / BACKUP_FILE, canonical_json(document), mode=0o600, replace=False)


class Backup:
    """A backup that was verified: signed by this keystore's vault, every part as it was written."""

    def __init__(self, folder: Path, keystore: Keystore, document: Mapping[str, Any]) -> None:
        """Use `open`."""
        self.folder = folder
        self.backup_id: str = document["backup_id"]
        self.vault_id: str = document["vault_id"]
        self.day: str = document["day"]
        self._keystore = keystore
        contents_key = self._unwrap(document["contents_key"], "contents")
        self._deks = {"": self._unwrap(document["vault_key"], "vault")}
        self.contents = _parse_contents(self._open(CONTENTS_FILE, contents_key, ""))

    @classmethod
    def open(cls, folder: Path, keystore: Keystore) -> Backup:
        """Verify a backup, all of it, and open its contents (rule 6).

        Raises:
            BackupVersionError: the format is another one.
            DamagedBackupError: anything is missing, changed or added, or the backup is another vault's.
        """
        document = _verified(folder, keystore)
        listed = {part["name"]: part for part in document["parts"]}
        there = {path.name for path in folder.iterdir()} - {BACKUP_FILE}
        if there != set(listed) or len(listed) != len(document["parts"]):
            raise DamagedBackupError(f"{folder} does not hold the parts that its {BACKUP_FILE} lists, and no others")
        for name, part in listed.items():
            data = _read(folder / name, _PART_LIMIT)
            if len(data) != part["size"] or hashlib.sha256(data).hexdigest() != part["sha256"]:
                raise DamagedBackupError(f"{folder / name} was changed or cut off")
        return cls(folder, keystore, document)

    def rows(self, part: Part) -> pa.Table:
        """Open a part that holds rows.

        Raises:
            BackupEpochError: the organisation's epoch of that time is gone (rule 3).
        """
        with pa.ipc.open_stream(io.BytesIO(self.data(part))) as reader:
            return reader.read_all()

    def data(self, part: Part) -> bytes:
        """Open any part."""
        return self._open(part.name, self._dek(part.organisation), part.organisation)

    def check_epoch(self, organisation: str) -> None:
        """Refuse a backup that an organisation's keys no longer open.

        Raises:
            BackupEpochError: the organisation's epoch of that time is gone (rule 3).
        """
        self._dek(organisation)

    def _dek(self, organisation: str) -> bytes:
        if organisation not in self._deks:
            epoch, wrapped = self.contents.keys[organisation]
            context = _key_context(organisation, self.backup_id)
            try:
                self._deks[organisation] = self._keystore.organisation(organisation).unwrap_dek(wrapped, epoch, context)
            except (EpochError, UnknownOrganisationError):
                raise BackupEpochError(
                    f"{self.folder} is of epoch {epoch} of {organisation}, whose key the keystore no longer has"
                ) from None
        return self._deks[organisation]

    def _open(self, name: str, dek: bytes, organisation: str) -> bytes:
        try:
            plain = unseal(dek, _read(self.folder / name, _PART_LIMIT), _context(organisation, self.backup_id, name))
        except SealBrokenError:
            raise DamagedBackupError(f"{self.folder / name} does not open") from None
        length = int.from_bytes(plain[:_LENGTH_BYTES], "big")
        return plain[_LENGTH_BYTES : _LENGTH_BYTES + length]

    def _unwrap(self, wrapped: object, what: str) -> bytes:
        try:
            return unwrap_key(
                _vault_key(self._keystore), bytes.fromhex(str(wrapped)), _context("", self.backup_id, f"{what}-key")
            )
        except (SealBrokenError, ValueError):
            raise DamagedBackupError(f"{self.folder} belongs to another keystore") from None


def _verified(folder: Path, keystore: Keystore) -> dict[str, Any]:
    where = folder / BACKUP_FILE
    try:
        document = parse_json(_read(where, _FILE_LIMIT), BACKUP_FILE)
    except JsonFaultError:
        raise DamagedBackupError(f"{where} is not a file that Casehaven wrote") from None
    if not isinstance(document, dict) or "format" not in document:
        raise DamagedBackupError(f"{where} does not have the fields of a backup")
    if document["format"] != BACKUP_FORMAT:
        raise BackupVersionError(f"{where} has another format than {BACKUP_FORMAT}")
    try:
        signature = base64.b64decode(str(document.pop("signature", "")), validate=True)
        keystore.signing_key().public_key().verify(signature, _message(document))
    except (binascii.Error, ValueError, InvalidSignature):
        raise DamagedBackupError(f"{where} was changed, or is not a backup of this keystore's vault") from None
    return document


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit=limit)
    except FileNotFoundError:
        raise DamagedBackupError(f"{path} is missing") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from None
    except (NotRegularFileError, FileTooLargeError) as error:
        raise DamagedBackupError(str(error)) from None


def _parse_contents(opened: bytes) -> BackupContents:
    """Read what `_write_parts` wrote; the seal says that nobody else did."""
    document: Any = parse_json(opened, CONTENTS_FILE)
    head = document["head"]
    return BackupContents(
        revision=document["revision"],
        head=AuditHead(positions=head["positions"], chain=bytes.fromhex(head["chain"]), at=head["at"]),
        keys={name: (epoch, bytes.fromhex(wrapped)) for name, (epoch, wrapped) in document["keys"].items()},
        parts=tuple(
            Part(name=name, kind=kind, organisation=organisation, what=what)
            for name, kind, organisation, what in document["parts"]
        ),
        counts=document["counts"],
    )


def _tables() -> Sequence[Table]:
    """Every table, those that others refer to first; rows of the whole vault before those of an organisation."""
    if audit_models.audit.metadata is not metadata:  # pragma: no cover - they register themselves on import
        raise BackupError("the audit log is not among the tables")
    return sorted(metadata.sorted_tables, key=_owned)


def _owned(table: Table) -> bool:
    """Whether each row is one organisation's people's."""
    return table is not models.dataset and bool({"dataset_id", "person_id"} & set(table.c.keys()))


def _batches(connection: Connection, table: Table, datasets: Sequence[int]) -> Iterator[Sequence[Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    if _owned(table):
        if "dataset_id" in table.c:
            query = query.where(table.c.dataset_id.in_(datasets))
        else:
            query = query.join(models.person, models.person.c.person_id == table.c.person_id)
            query = query.where(models.person.c.dataset_id.in_(datasets))
    yield from connection.execute(query.execution_options(yield_per=_ROWS)).partitions()


def _arrow(table: Table, rows: Sequence[Any]) -> bytes:
    columns = [*table.c]
    arrays = [pa.array([row[place] for row in rows], type=_type(column)) for place, column in enumerate(columns)]
    batch = pa.record_batch(arrays, names=[column.name for column in columns])
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, batch.schema) as stream:
        stream.write_batch(batch)
    return buffer.getvalue()


def _type(column: Column[Any]) -> pa.DataType:
    for kind, arrow in (
        (Boolean, pa.bool_()),
        (Date, pa.date32()),
        (Integer, pa.int64()),
        (Text, pa.large_string()),
        (LargeBinary, pa.large_binary()),
    ):
        if isinstance(column.type, kind):
            return arrow
    raise BackupError(f"column {column.name} of {column.table.name} has a type that backups do not know")


def _wrap(keystore: Keystore, dek: bytes, backup_id: str, what: str) -> str:
    return wrap_key(_vault_key(keystore), dek, _context("", backup_id, f"{what}-key")).hex()


def _vault_key(keystore: Keystore) -> bytes:
    return hmac.digest(keystore.audit_key(), _KEY, "sha256")


def _key_context(organisation: str, backup_id: str) -> SealContext:
    return SealContext(kind="chunk-key", organisation=organisation, object_id=f"backup {backup_id}")


def _context(organisation: str, backup_id: str, what: str) -> SealContext:
    return SealContext(kind="detail", organisation=organisation, object_id=f"backup {backup_id} {what}")


def _message(document: Mapping[str, JsonValue]) -> bytes:
    data = canonical_json(document)
    return _SIGNED + len(data).to_bytes(8, "big") + data


def _padded(data: bytes) -> bytes:
    """Length, data, zeros: to 64 KiB at least, and then to one of eight sizes between two powers of two (privacy rule 5)."""
    size = _LENGTH_BYTES + len(data)
    step = max(_SMALLEST, (1 << size.bit_length()) >> 4)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data + bytes(-size % step)
