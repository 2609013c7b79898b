"""Where a bundle is written before it has its name, and how one whose writing was cut short is found again.

1. The work folder is hidden, beside the bundle's place, and named for the bundle and for its charge: `.NAME.CHARGE.XXXX.partial`. It holds
   `notes.json`, what people say about the release, and the folder `bundle`. Two requests never share one.
2. Everything in a bundle follows from its measurements and its notes, so those two are written first and suffice to finish it. The case
   files are not needed any more.
3. A work folder counts as removed only when its removal succeeded, is on disk, and no other of the same charge is left. In doubt it is not.
"""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from casesynth._files import sync_folder, write_whole
from casesynth.canonical import JsonFaultError, parse_json
from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.measure import Measurement
from casesynth.notes import ReleaseNotes
from casesynth.seeded import measurements_digest
from casesynth.tables import read_measurements

PARTIAL = ".partial"
"""Ending of a work folder."""
NOTES_NAME = "notes.json"
BUNDLE_NAME = "bundle"
_NOTES_LIMIT = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What the keeper of the ledger is told while a bundle is written; each call raises to stop."""

    writing: Callable[[str], object]
    """Before the first byte: the SHA-256 of the measurements."""
    withdrawn: Callable[[], object]
    """After a failure, when every byte is gone again."""
    revealed: Callable[[str], object]
    """When every byte is on disk and before the folder gets its name."""


NO_STAGES = Stages(writing=lambda digest: None, withdrawn=lambda: None, revealed=lambda digest: None)
"""For callers who keep no ledger."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What a bundle left whose writing was cut short: enough to finish it."""

    measurements: tuple[Measurement, ...]
    notes: ReleaseNotes


def make_work_folder(folder: Path, charge_id: str, notes: ReleaseNotes) -> Path:
    """Make the work folder of a bundle, with its notes.

    Args:
        folder: where the bundle will be.
        charge_id: of the charge that paid for it.
        notes: what people say about it.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{charge_id}.", suffix=PARTIAL, dir=folder.parent))
    data = json.dumps(asdict(notes), ensure_ascii=False, sort_keys=True).encode()
    try:
        write_whole(work / NOTES_NAME, data, mode=0o600, replace=False)
        (work / BUNDLE_NAME).mkdir(mode=0o755)
    except BaseException:  # nothing of the result is in it yet
        shutil.rmtree(work, ignore_errors=True)
        raise
    return work


def work_folders(folder: Path, charge_id: str) -> list[Path]:
    """Return the work folders of one bundle and charge."""
    name = f".{glob.escape(folder.name)}.{glob.escape(charge_id)}.*{PARTIAL}"
    return sorted(folder.parent.glob(name))


def nothing_left(folder: Path, charge_id: str, work: Path | None) -> bool:
    """Remove a work folder after a failure.

    Args:
        folder: where the bundle would have been.
        charge_id: of the charge that paid for it.
        work: the work folder of this attempt; None when there is none yet. Those of other attempts stay: they may be all there is.

    Returns:
        Whether it is certain that no byte of the result is left, of this attempt or another.
    """
    try:
        if work is not None:
            shutil.rmtree(work)
        sync_folder(folder.parent)
        return not work_folders(folder, charge_id)
    except OSError:
        return False


def remove_work_folders(folder: Path, charge_id: str) -> None:
    """Remove what the writing of a bundle left that has its name now."""
    for work in work_folders(folder, charge_id):
        shutil.rmtree(work, ignore_errors=True)


def find_unfinished(folder: Path, charge_id: str, digest: str, domain: Domain) -> Unfinished | None:
    """Return what a bundle left whose writing was cut short, or None.

    Args:
        folder: where the bundle should have been.
        charge_id: of the charge that paid for it.
        digest: SHA-256 of its measurements, as the ledger holds it.
        domain: its public value lists.
    """
    for work in work_folders(folder, charge_id):
        try:
            found = read_measurements(work / BUNDLE_NAME / "measurements.parquet", domain)
            stored = parse_json((work / NOTES_NAME).read_bytes()[:_NOTES_LIMIT], NOTES_NAME)
            notes = ReleaseNotes(**stored) if isinstance(stored, dict) else None
        except (CasesynthError, JsonFaultError, OSError, TypeError):
            continue
        if notes is not None and measurements_digest(found).hex() == digest:
            return Unfinished(measurements=found, notes=notes)
    return None
