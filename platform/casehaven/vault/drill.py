"""The restore drill: would this backup bring the vault back? Tried in a temporary folder, on a copy of the anchor; nothing else changes.

1. The whole backup is verified, restored with every row that it lists, and migrated; erasures and withdrawals are done again, as `casehaven restore` would.
2. The audit log is verified against the anchor, every chunk is opened and compared with the records that it is for and with the blocks of their people, and the records of some people,
   drawn by the operating system's generator, are opened.
3. No person whom the anchor knows as erased is there, and no consent that it knows as withdrawn.
4. What was restored is sealed all the time, and is removed. Nothing is said that a count could be read from (privacy rule 5).
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from casehaven.core.audit_verify import verify_log
from casehaven.vault import models
from casehaven.vault.anchor_state import AnchorState
from casehaven.vault.backup import Backup
from casehaven.vault.errors import DamagedChunkError, DrillError, EpochError, SealBrokenError
from casehaven.vault.keystore import Keystore
from casehaven.vault.records import open_record
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.store import Vault

PEOPLE_OPENED = 100
"""People whose records a drill opens, at most."""


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """What a drill found to be right; what is wrong is raised."""

    day: str
    """Day of the backup."""
    checks: tuple[str, ...]
    """One sentence each."""


def drill(backup_folder: Path, root: RootKey, *, keystore: Path, anchor: Path, work: Path | None = None) -> DrillResult:
    """Restore a backup for a try, check it, and remove it again.

    Args:
        backup_folder: what `write_backup` wrote.
        root: the root key of the keystore.
        keystore: the keystore's folder.
        anchor: the anchor; it is copied, and stays as it is.
        work: where the temporary folder goes; by default the system's.

    Raises:
        DrillError: it was restored, and something is not as it was.
        CasehavenError: it cannot be restored; see `restore`.
    """
    place = Path(tempfile.mkdtemp(prefix="casehaven-drill-", dir=work))
    try:
        copy = place / "anchor"
        if anchor.is_file():  # else `restore` says what it thinks of that
            shutil.copyfile(anchor, copy)
        day = Backup.open(backup_folder, Keystore.open(keystore, root)).day
        vault = restore(backup_folder, place / "vault", root, keystore=keystore, anchor=copy, reason="drill")
        state = vault.anchor.read()
        done = ["every part of the backup is whole, and all its rows were restored"]
        with vault.database.transaction(writes=False) as connection:
            done += [check(vault, connection, state) for check in CHECKS]
        return DrillResult(day=day, checks=tuple(done))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def check_log(vault: Vault, connection: Connection, state: AnchorState) -> str:
    """Verify the restored audit log."""
    key, erased = vault.keystore.verify_key, state.erased
    found = verify_log(connection, vault.audit, key, anchor=state.head, erased=erased)
    if not found.whole:
        raise DrillError(f"the audit log is not whole at position {found.first_bad}: {found.fault}")
    return "the audit log is whole and goes on from the anchor"


def check_chunks(vault: Vault, connection: Connection, _: AnchorState) -> str:
    """Open every chunk, and compare it with the records that it is for and the blocks of their people."""
    record, person = models.record, models.person.c
    for dataset in vault.datasets():
        keys, codes = vault.keys_of(dataset), vault.block_codes(dataset)
        there = select(person.person_id, person.block_code).where(person.dataset_id == dataset.dataset_id)
        try:
            blocks = {number: codes.place(number, code) for number, code in connection.execute(there)}
        except SealBrokenError:
            raise DrillError(f"the block of a person of {dataset.id} is not what was written") from None
        this = models.chunk.c.dataset_id == dataset.dataset_id
        for row in connection.execute(select(models.chunk).where(this).order_by(models.chunk.c.chunk_id)).all():
            expected = connection.scalars(select(record.c.record_id).where(record.c.chunk_id == row.chunk_id))
            try:
                content = vault.read_chunk(dataset, keys, row)
            except (DamagedChunkError, SealBrokenError, EpochError):
                raise DrillError(f"chunk {row.chunk_id} of {dataset.id} does not open") from None
            if {*content.records.tolist()} != {*expected}:
                raise DrillError(f"chunk {row.chunk_id} of {dataset.id} does not fit its records")
            if [blocks.get(number) for number in content.persons.tolist()] != content.blocks.tolist():
                raise DrillError(
                    f"chunk {row.chunk_id} of {dataset.id} has a person in another block than the person's"
                )
    return "every chunk opens and fits its records, and the blocks of their people"


def check_people(vault: Vault, connection: Connection, _: AnchorState) -> str:
    """Open the records of some people."""
    person, record = models.person, models.record
    for dataset in vault.datasets():
        numbers = connection.scalars(select(person.c.person_id).where(person.c.dataset_id == dataset.dataset_id)).all()
        drawn = secrets.SystemRandom().sample(numbers, min(PEOPLE_OPENED, len(numbers)))
        for number in drawn:
            try:
                dek = vault.dek_of(dataset, vault.person(number))
                for row in connection.execute(select(record).where(record.c.person_id == number)).all():
                    open_record(dek, dataset, row.version, row.record_id, bytes(row.sealed))
            except (SealBrokenError, EpochError):
                raise DrillError(f"the records of a person of {dataset.id} do not open") from None
    return "the records of people drawn at random open"


def check_erased(vault: Vault, connection: Connection, state: AnchorState) -> str:
    """Look for people who were erased, and for consents that were withdrawn."""
    consent = models.consent
    if vault.anchor.unfinished_erasures(connection):
        raise DrillError("a person who was erased is there again")
    for number, purpose in sorted(state.withdrawn):
        query = select(consent.c.given).where(consent.c.person_id == number, consent.c.purpose == purpose)
        if connection.scalar(query.order_by(consent.c.version.desc()).limit(1)):
            raise DrillError("a consent that was withdrawn is there again")
    return "nobody who was erased is there, and no consent that was withdrawn"


CHECKS: tuple[Callable[[Vault, Connection, AnchorState], str], ...] = (
    check_log,
    check_chunks,
    check_people,
    check_erased,
)
"""What a drill checks on the restored vault."""
