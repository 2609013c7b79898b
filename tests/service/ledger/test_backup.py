"""A backup of the ledger is whole, is made while others charge, and brings no budget back (privacy rule 20)."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.service.ledger.conftest import CAP

from casehaven.cli import main
from casehaven.ledger import (
    BrokenLedgerAnchorError,
    DamagedLedgerError,
    Ledger,
    LedgerAnchorMissingError,
    LedgerBehindAnchorError,
    LedgerError,
    LedgerExistsError,
    LedgerStorageError,
)
from casehaven.ledger.backup import drill, write_backup

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup.sqlite"


in_a_file = pytest.mark.parametrize("make_desk", ["sqlite"], indirect=True)


def lose(path: Path) -> None:
    for name in ("", "-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)


@pytest.mark.parametrize("make_desk", ["postgresql"], indirect=True)
def test_a_ledger_on_a_server_is_backed_up_by_the_server(desk: Desk, backup: Path) -> None:
    with pytest.raises(LedgerStorageError, match="pg_dump"):
        write_backup(desk.open(), backup)
    assert not backup.exists()


@in_a_file
def test_a_ledger_that_is_lost_is_brought_back_and_every_ceiling_counts_as_spent(desk: Desk, backup: Path) -> None:
    assert isinstance(desk.place, Path)
    desk.draw(1000)
    write_backup(desk.open(), backup)
    lost = desk.draw(CAP // 3)
    tried = drill(backup, desk.place)
    assert tried.behind
    lose(desk.place)
    shutil.copyfile(backup, desk.place)
    with pytest.raises(LedgerBehindAnchorError):
        desk.charge()
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= 1000 + lost
    assert tried.statement.rows == desk.open().statement().rows
    desk.draw(1)


@in_a_file
def test_a_backup_that_misses_nothing_goes_on_as_it_is(desk: Desk, backup: Path) -> None:
    assert isinstance(desk.place, Path)
    desk.draw(1000)
    write_backup(desk.open(), backup)
    before = backup.read_bytes(), desk.anchor.read_bytes()
    assert not drill(backup, desk.place).behind
    assert (backup.read_bytes(), desk.anchor.read_bytes()) == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    lose(desk.place)
    shutil.copyfile(backup, desk.place)
    desk.draw(1)


@in_a_file
def test_a_backup_is_whole_while_others_charge(desk: Desk, tmp_path: Path) -> None:
    assert isinstance(desk.place, Path)
    stop, wrong = threading.Event(), []
    ledger = desk.open(keep_open=True)

    def spend() -> None:
        try:
            while not stop.is_set():
                desk.charge(7, ledger=ledger, blocks=["2021", "2022"])
        except LedgerError as error:
            wrong.append(error)

    others = [threading.Thread(target=spend) for _ in range(3)]
    for other in others:
        other.start()
    try:
        for number in range(5):
            write_backup(ledger, tmp_path / f"{number}.sqlite")
    finally:
        stop.set()
        for other in others:
            other.join()
        ledger.close()
    assert wrong == []
    for number in range(5):
        Ledger.open(tmp_path / f"{number}.sqlite")  # reads and checks all of it: sums and chain


@in_a_file
def test_nothing_is_overwritten_and_nothing_is_left_of_what_failed(desk: Desk, backup: Path) -> None:
    backup.write_bytes(b"kept")
    for target in (backup, desk.folder / "nowhere" / "backup.sqlite"):
        with pytest.raises((LedgerExistsError, LedgerStorageError)):
            write_backup(desk.open(), target)
    assert backup.read_bytes() == b"kept"
    assert not list(desk.folder.glob(".*"))


@in_a_file
def test_a_backup_that_was_changed_or_has_no_anchor_is_refused(desk: Desk, backup: Path) -> None:
    assert isinstance(desk.place, Path)
    desk.draw(1000)
    write_backup(desk.open(), backup)
    (desk.folder / "other.anchor").write_bytes(b" " * 2000)
    with pytest.raises(BrokenLedgerAnchorError):
        drill(backup, desk.place, desk.folder / "other.anchor")
    with pytest.raises(LedgerAnchorMissingError):
        drill(backup, desk.place, desk.folder / "no.anchor")
    connection = sqlite3.connect(backup)
    connection.execute("DROP TRIGGER account_never_falls")
    connection.commit()
    connection.close()
    with pytest.raises(DamagedLedgerError):
        drill(backup, desk.place)


@in_a_file
def test_the_commands_say_what_would_be_left(desk: Desk, backup: Path) -> None:
    assert isinstance(desk.place, Path)
    desk.draw(1000)
    made = CliRunner().invoke(main, ["ledger", "backup", "--ledger", str(desk.place), "-o", str(backup)])
    assert (made.exit_code, "keep it as you keep the ledger" in made.output) == (0, True)
    desk.draw(1000)
    tried = CliRunner().invoke(main, ["ledger", "drill", str(backup), "--ledger", str(desk.place)])
    assert (tried.exit_code, "older than its anchor" in tried.output) == (0, True)
    assert "resumed on" in tried.output
