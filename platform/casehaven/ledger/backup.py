"""Backups of a ledger in a file, and what one would be worth (privacy rule 20).

1. A backup is a whole copy of one moment, made while the ledger is in use, checked as a ledger is checked when it is opened, and given its name only then. It has
   the ledger's secret: it is kept as the ledger is. The anchor is not in it, for what is restored together with the ledger stops no restore.
2. A backup that is put back is an earlier copy: it spends nothing until it is resumed, and what may have been spent since counts as spent.
3. A drill does that with a copy of the backup and changes neither ledger nor anchor.
4. A ledger on a server is backed up with the server's own tools.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from casehaven.ledger._store import SqliteStore, check_header, connect
from casehaven.ledger.anchoring import stored_footing
from casehaven.ledger.ceilings import resume
from casehaven.ledger.clock import now
from casehaven.ledger.errors import LedgerExistsError, LedgerStorageError
from casehaven.ledger.service import Ledger
from casehaven.ledger.statement import Statement, stored_statement


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What a backup would be worth today."""

    behind: bool
    """Whether anything was drawn, shown or decided since; then it is resumed from its ceilings."""
    statement: Statement
    """Of the ledger after it is put back, and resumed where it is behind."""


def write_backup(ledger: Ledger, target: Path) -> None:
    """Write a whole copy of a ledger to a new file that only its owner may read (rule 1).

    Raises:
        LedgerExistsError: something is there already.
        LedgerStorageError: it cannot be written, or the ledger is on a server.
        DamagedLedgerError: the copy does not pass the checks; nothing is left.
    """
    source = ledger.file
    if source is None:
        raise LedgerStorageError(
            f"{ledger.where} is on a server: back it up with the server's own tools, for example pg_dump --schema casehaven_ledger"
        )
    if target.exists() or target.is_symlink():
        raise LedgerExistsError(f"{target} is there already; nothing is overwritten")
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
    except OSError as error:
        raise LedgerStorageError(f"{target} cannot be written: {error.strerror}") from None
    try:
        copy = work / "ledger.sqlite"
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        _copy(source, copy)
        SqliteStore(copy).check()
        _flush(copy)
        os.link(copy, target)  # never over a file that came there meanwhile
        _flush(target.absolute().parent)
    except FileExistsError:
        raise LedgerExistsError(f"{target} is there already; nothing is overwritten") from None
    except OSError as error:
        raise LedgerStorageError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def drill(backup: Path, path: Path, anchor: Path | None = None) -> Drill:
    """Take a copy of a backup into use, as far as that can be tried without changing anything (rule 3).

    Args:
        backup: the file.
        path: where the ledger is, and where the backup would be put back.
        anchor: the anchor file; None for the place that the backup knows.

    Raises:
        LedgerMissingError, NotALedgerError, LedgerVersionError, DamagedLedgerError: the backup is no whole ledger.
        LedgerAnchorMissingError, BrokenLedgerAnchorError: there is no anchor to resume from, or it is another ledger's.
        BudgetPolicyError: the backup is of another course than its anchor.
    """
    check_header(backup)
    with tempfile.TemporaryDirectory(prefix="casehaven-drill-") as folder:
        copy = Path(folder) / "ledger.sqlite"
        shutil.copyfile(backup, copy)
        SqliteStore(copy).check()
        with SqliteStore(copy).transaction(writes=True) as connection:
            known = stored_footing(connection, path).anchor
            behind = resume(connection, known if anchor is None else known.at(anchor), now())
            return Drill(behind=behind, statement=stored_statement(connection))


def _copy(source: Path, copy: Path) -> None:
    """Copy the pages of one moment."""
    reading = connect(source)
    try:
        writing = sqlite3.connect(copy)
        try:
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE").close()  # one whole file, without a log beside it
        finally:
            writing.close()
    except sqlite3.Error:
        raise LedgerStorageError(f"{source} could not be read, or its copy not be written") from None
    finally:
        reading.close()


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
