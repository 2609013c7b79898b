"""The vault under processes that die, disks that fill up, and files that are damaged.

A helper process imports everything once and forks a child for each step, so that fifty children can be killed in a minute. SIGKILL leaves no chance to tidy up.
After each kill another child opens the vault anew and looks at everything: the database's own check, every chunk, every record, every key.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types

from casehaven.core import db
from casehaven.core.errors import DatabaseError
from casehaven.errors import CasehavenError
from casehaven.intake.uploads import take_in
from casehaven.vault import models
from casehaven.vault.errors import DamagedChunkError, RolledBackError, SealBrokenError, VaultError
from casehaven.vault.snapshots import snapshot

if TYPE_CHECKING:
    from tests.conftest import MakePeople
    from tests.service.vault.conftest import Store

    from casesynth.privacy import Receipt

KILLS = 50

HELPER = r"""
import json, os, resource, signal, sys, time
from pathlib import Path

from sqlalchemy import func, select

from casehaven.core.audit import AuditLog
from casehaven.intake.held import hold
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose
from casehaven.intake.readers import open_source
from casehaven.intake.uploads import take_in
from casehaven.vault import chunks, keystore, models, store
from casehaven.vault.anchor import Anchor
from casehaven.vault.rootkeys import file_key
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.store import Vault
import casehaven.vault.rotation as rotation
import casehaven.people.matching

folder = Path(sys.argv[1])
root = file_key(folder / "root.key")


def open_vault():
    return Vault.open(folder / "vault", root)


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before(owner, name):
    setattr(owner, name, die)


def dies_after(owner, name):
    real = getattr(owner, name)

    def wrapped(*args, **kwargs):
        real(*args, **kwargs)
        die()

    setattr(owner, name, wrapped)


POINTS = {
    "the chunk is written, not yet named": lambda: dies_before(Path, "rename"),
    "the chunk has its name": lambda: dies_after(chunks, "sync_folder"),
    "rows are written, not committed": lambda: dies_before(store.Vault, "raise_version"),
    "the last row is written, not committed": lambda: dies_before(AuditLog, "append"),
    "committed, the anchor is behind": lambda: dies_before(Anchor, "raise_from"),
    "committed, nobody was told": lambda: dies_after(Anchor, "raise_from"),
    "an epoch is begun": lambda: dies_before(rotation, "rewrap"),
    "some keys are wrapped anew": lambda: dies_after(rotation, "_write"),
    "all keys are wrapped anew": lambda: dies_after(rotation, "rewrap"),
    "the old epoch is gone": lambda: dies_after(keystore.OrganisationKeys, "retire_epoch"),
}


def intake(path):
    vault = open_vault()
    take_in(vault, vault.dataset("north", "cases"), Path(path))


def mapped(path):
    vault = open_vault()
    dataset = vault.dataset("north", "cases")
    held = hold(open_source(Path(path)))
    mapping = propose(held, dataset.schema).accepted()
    take_in(vault, dataset, MappedFile(held=held, mapping=mapping, schema=dataset.schema))


def rotate(_):
    rotation._AT_ONCE = 40
    rotate_epoch(open_vault(), "north")


def look(_):
    vault = open_vault()
    vault.database.check()
    dataset = vault.dataset("north", "cases")
    keys = vault.keys_of(dataset)
    with vault.database.transaction(writes=False) as connection:
        rows = connection.execute(select(models.chunk)).all()
        records = connection.execute(select(models.record)).all()
        persons = {row.person_id: store._person(row) for row in connection.execute(select(models.person))}
        uploads = connection.scalar(select(func.count()).select_from(models.upload))
        consents = connection.scalar(select(func.count()).select_from(models.consent))
        keyed = connection.scalar(select(func.count()).select_from(models.record_key))
        replaced = sum(row.superseded_by is not None for row in records)
    coded = sum(len(vault.read_chunk(dataset, keys, row)) for row in rows)
    deks = {number: vault.dek_of(dataset, person) for number, person in persons.items()}
    for row in records:
        store._record(deks[row.person_id], dataset, row)
    return {
        "uploads": uploads, "version": dataset.version, "persons": len(persons), "records": len(records),
        "coded": coded, "consents": consents, "epochs": list(keys.epochs), "chunks": len(rows),
        "keyed": keyed, "replaced": replaced,
    }


def limited(path):
    size, path = path.split(":", 1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
    intake(path)


STEPS = {"intake": intake, "mapped": mapped, "rotate": rotate, "look": look, "limited": limited}

for line in sys.stdin:
    step, argument, kill = json.loads(line)
    pipe_in, pipe_out = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(pipe_in)
        said = {}
        try:
            if isinstance(kill, str):
                POINTS[kill]()
            said = {"done": STEPS[step](argument)}
        except BaseException as error:
            said = {"error": f"{type(error).__module__}.{type(error).__name__}", "text": str(error)[:200]}
        os.write(pipe_out, json.dumps(said).encode())
        os._exit(0)
    os.close(pipe_out)
    if isinstance(kill, float):
        time.sleep(kill)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(pipe_in, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - started
    answer = {"killed": os.WIFSIGNALED(status), "seconds": seconds, **(json.loads(said) if said else {})}
    print(json.dumps(answer), flush=True)
"""


class Helper:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HELPER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, step: str, argument: object = "", kill: float | str | None = None) -> dict[str, Any]:
        """Run a step in a child; kill it after so many seconds, or at a point."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([step, str(argument), kill]), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def look(self) -> dict[str, Any]:
        """Open the vault anew and look at everything."""
        answer = self.run("look")
        assert "done" in answer, answer
        found: dict[str, Any] = answer["done"]
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture
def helper(sqlite_store: Store) -> Iterator[Helper]:
    """A helper for the vault of this test."""
    made = Helper(sqlite_store.folder)
    yield made
    made.stop()


EACH = 60
INTAKE_POINTS = (
    "the chunk is written, not yet named",
    "the chunk has its name",
    "rows are written, not committed",
    "the last row is written, not committed",
    "committed, the anchor is behind",
    "committed, nobody was told",
)
ROTATION_POINTS = (
    "an epoch is begun",
    "some keys are wrapped anew",
    "all keys are wrapped anew",
    "the old epoch is gone",
    "committed, nobody was told",
)


def _kills(points: Sequence[str], seconds: float, most: int = KILLS) -> list[float | str]:
    """Every point, and moments spread over the time that the work takes."""
    moments = [seconds * share / (most - len(points)) for share in range(most - len(points))]
    kills: list[float | str] = [*points, *moments]
    random.Random(1).shuffle(kills)
    return kills


def test_fifty_kills_in_intake_lose_no_file_that_was_taken_in_and_leave_no_half_of_one(
    sqlite_store: Store, helper: Helper, people: MakePeople
) -> None:
    """Each file has 60 new people with one record; it is retried until its intake was reported, and then it is there once."""
    dataset = sqlite_store.dataset()
    first = helper.run("intake", sqlite_store.write(people(EACH)))
    assert "done" in first, first
    told = 1
    path: Path | None = None
    for kill in _kills(INTAKE_POINTS, 1.2 * first["seconds"]):
        path = path or sqlite_store.write(people(EACH, start=EACH * told))
        answer = helper.run("intake", path, kill)
        assert answer["killed"] or (isinstance(kill, float) and "done" in answer), (kill, answer)
        found = helper.look()
        uploads = found["uploads"]
        assert uploads in ((told + 1,) if "done" in answer else (told, told + 1))
        whole = EACH * uploads
        assert (found["persons"], found["records"], found["coded"], found["consents"]) == (whole,) * 4
        assert (found["version"], found["chunks"]) == (uploads, uploads)
        if uploads == told + 1:
            assert helper.run("intake", path).get("killed") is False  # told again: it is there already
            told, path = uploads, None
    assert 0 < told - 1 < KILLS, "some were killed before they committed, some after"
    helper.run("intake", sqlite_store.write(people(EACH, start=EACH * (told + 1))))
    left = [file for file in (sqlite_store.path / "chunks").rglob("*") if file.is_file()]
    assert len(left) == helper.look()["chunks"], "the next intake swept away what the kills left"
    assert dataset.people_cap == 10_000


NEW = 4


def _export(folder: Path, number: int, kind: str) -> Path:
    """The export of a form so far, as KoboToolbox writes it: `NEW` records more than the one before, and one of those before was edited."""
    names = ["token", "gender", "year", "mayRelease", "_id", "_uuid", "_submission_time"]
    rows = [
        [
            f"p{row}",
            "woman" if row else ("woman", "man")[number % 2],
            "2021",
            "yes",
            str(row),
            f"u{row}",
            "2021-02-03T10:00:00",
        ]
        for row in range(NEW * number)
    ]
    path = folder / f"export-{number}.{kind}"
    if kind == "csv":
        path.write_text("".join(";".join(row) + "\n" for row in [names, *rows]), encoding="utf-8")
    else:
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for place, cells in enumerate([names, *rows]):
                sheet.write_row(place, 0, cells)
    return path


@pytest.mark.parametrize("kills", [16, pytest.param(KILLS, marks=pytest.mark.audit)])
def test_kills_in_the_intake_of_mapped_files_lose_nothing_and_count_nobody_twice(
    sqlite_store: Store, helper: Helper, kills: int
) -> None:
    """Exports of KoboToolbox, CSV and XLSX in turn, each with all records so far: killed anywhere from its first byte on, and run again."""
    sqlite_store.dataset()
    first = helper.run("mapped", _export(sqlite_store.folder, 1, "csv"))
    assert "done" in first, first
    told = 1
    for number, kill in enumerate(_kills(INTAKE_POINTS, 1.5 * first["seconds"], kills)):
        path = _export(sqlite_store.folder, told + 1, ("csv", "xlsx")[number % 2])
        answer = helper.run("mapped", path, kill)
        assert answer["killed"] or (isinstance(kill, float) and "done" in answer), (kill, answer)
        found = helper.look()
        uploads = found["uploads"]
        assert uploads in ((told + 1,) if "done" in answer else (told, told + 1))
        records = NEW * uploads + uploads - 1
        assert (found["records"], found["coded"], found["replaced"]) == (records, records, uploads - 1)
        assert (found["persons"], found["keyed"], found["consents"]) == (NEW * uploads,) * 3
        assert (found["version"], found["chunks"]) == (uploads, uploads)
        if uploads == told + 1:
            assert helper.run("mapped", path).get("killed") is False  # told again: it is there already
            told = uploads
    assert told - 1 < kills, "some were killed before they committed"
    last = helper.run("mapped", _export(sqlite_store.folder, told + 1, "xlsx"))
    assert "done" in last, last
    assert helper.look()["persons"] == NEW * (told + 1)


def test_fifty_kills_in_rotation_lose_no_key(sqlite_store: Store, helper: Helper, people: MakePeople) -> None:
    """200 people; 40 keys are wrapped in each transaction. Whatever is killed, every record and chunk opens, and the next call finishes."""
    sqlite_store.dataset()
    assert "done" in helper.run("intake", sqlite_store.write(people(200)))
    whole = helper.run("rotate")
    assert "done" in whole, whole
    unfinished = 0
    for kill in _kills(ROTATION_POINTS, 1.2 * whole["seconds"]):
        if isinstance(kill, str):
            assert "done" in helper.run(
                "rotate"
            )  # what the kill before left: a point is reached by a rotation that begins
        answer = helper.run("rotate", kill=kill)
        assert answer["killed"] or (isinstance(kill, float) and "done" in answer), (kill, answer)
        found = helper.look()
        assert (found["persons"], found["records"], found["coded"]) == (200, 200, 200)
        unfinished += len(found["epochs"]) == 2
    assert unfinished, "some kills left two epochs"
    assert "done" in helper.run("rotate")
    assert len(helper.look()["epochs"]) == 1


# --- full disks ------------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_any_size_takes_a_whole_file_or_nothing(
    sqlite_store: Store, helper: Helper, people: MakePeople
) -> None:
    """The system cuts every write off at a size, from less than a chunk to more than the database."""
    sqlite_store.dataset()
    assert "done" in helper.run("intake", sqlite_store.write(people(20)))
    path = sqlite_store.write(people(400, start=20))
    size = (sqlite_store.path / "vault.sqlite").stat().st_size
    taken = failed = 0
    for limit in (1_000, 40_000, 70_000, size // 2, size, size + 40_000, size + 200_000, 1 << 24):
        answer = helper.run("limited", f"{limit}:{path}")
        found = helper.look()
        whole = 420 if taken or "done" in answer else 20
        assert (found["persons"], found["records"], found["coded"]) == (whole,) * 3, (limit, answer)
        if "done" in answer:
            taken += 1
            continue
        failed += 1
        module = answer["error"].rpartition(".")[0]
        assert module.startswith("casehaven.") or answer["error"].endswith(("OSError", "FileTooLargeError")), answer
        assert "p000" not in answer["text"]
    assert taken and failed


def test_with_space_again_the_same_file_is_taken_in(
    sqlite_store: Store, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, path = sqlite_store.dataset(), sqlite_store.write(people(400))
    vault = sqlite_store.open()
    with vault.database.transaction(writes=False) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    monkeypatch.setattr(db, "_PRAGMAS", (*db._PRAGMAS, f"max_page_count = {pages + 2}"))
    with pytest.raises(DatabaseError, match="no space left"):
        take_in(vault, dataset, path)
    assert not [file for file in vault.chunks_folder.rglob("*") if file.is_file()]
    monkeypatch.undo()
    assert not take_in(vault, dataset, path).repeated


# --- damage ----------------------------------------------------------------------------------------------------------------


def test_any_flipped_bit_and_any_cut_of_a_chunk_is_noticed(
    sqlite_store: Store, people: MakePeople, receipt: Receipt
) -> None:
    """64 places over the file, header and last byte among them, and cuts at 16 sizes."""
    sqlite_store.take_in(people(50))
    (chunk,) = [path for path in (sqlite_store.path / "chunks").rglob("*") if path.is_file()]
    content = chunk.read_bytes()
    dataset, vault = sqlite_store.dataset(), sqlite_store.open()
    damaged = []
    for place in {*range(32), *range(0, len(content), len(content) // 31), len(content) - 1}:
        one = bytearray(content)
        one[place] ^= 1 << (place % 8)
        damaged.append(bytes(one))
    damaged += [content[: len(content) * share // 16] for share in range(16)]
    for bad in damaged:
        chunk.write_bytes(bad)
        with pytest.raises(DamagedChunkError):
            snapshot(vault, [dataset], "synthetic_release").open(receipt)
    chunk.unlink()
    with pytest.raises(DamagedChunkError, match="missing"):
        snapshot(vault, [dataset], "synthetic_release").open(receipt)
    chunk.write_bytes(content)
    assert snapshot(vault, [dataset], "synthetic_release").open(receipt).people == 50


def test_a_chunk_that_was_changed_together_with_its_row_does_not_open(
    sqlite_store: Store, people: MakePeople, receipt: Receipt
) -> None:
    """Whoever can write the database can write the digest, too; the seal holds."""
    import hashlib

    sqlite_store.take_in(people(50))
    (chunk,) = [path for path in (sqlite_store.path / "chunks").rglob("*") if path.is_file()]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    dataset, vault = sqlite_store.dataset(), sqlite_store.open()
    with vault.database.transaction(writes=True) as connection:
        connection.execute(models.chunk.update().values(sealed_sha256=hashlib.sha256(content).digest()))
        row = connection.execute(models.chunk.select()).one()
    with pytest.raises(SealBrokenError):
        vault.read_chunk(dataset, vault.keys_of(dataset), row)
    with pytest.raises(RolledBackError):  # the anchor knows the files, too
        snapshot(vault, [dataset], "synthetic_release").open(receipt)


def test_damage_anywhere_in_the_database_is_noticed_or_harmless(sqlite_store: Store, people: MakePeople) -> None:
    """40 blocks of 512 bytes, overwritten one at a time: an error of ours, or the records open as they were."""
    sqlite_store.take_in(people(50))
    vault = sqlite_store.open()
    vault.database.scrub()
    path = sqlite_store.path / "vault.sqlite"
    content = path.read_bytes()
    cells = sqlite_store.cells("p00007")
    vault.database.scrub()
    content = path.read_bytes()
    noticed = 0
    for place in range(0, len(content) - 512, len(content) // 40):
        path.write_bytes(content[:place] + b"\xa5" * 512 + content[place + 512 :])
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        try:
            opened = sqlite_store.open()
            opened.database.check()
            assert sqlite_store.cells("p00007") == cells
        except (CasehavenError, VaultError):
            noticed += 1
    assert noticed > 20
