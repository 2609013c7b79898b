"""Connections that are kept: by threads, over a fork, and after the server ended them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from casehaven.ledger import LedgerError

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk

THREADS = 8


def test_threads_share_a_ledger_and_no_charge_is_lost(desk: Desk) -> None:
    ledger, wrong = desk.open(keep_open=True), []

    def spend() -> None:
        try:
            for _ in range(5):
                desk.charge(3, ledger=ledger)
        except LedgerError as error:
            wrong.append(error)

    threads = [threading.Thread(target=spend) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert wrong == []
    assert desk.spent()["north/cases", "2021"] == THREADS * 5 * 3
    desk.open().check_anchor()


def test_a_fork_opens_connections_of_its_own_and_leaves_those_of_its_parent(desk: Desk) -> None:
    ledger = desk.open(keep_open=True)
    desk.charge(1, ledger=ledger)
    child = os.fork()
    if child == 0:
        try:
            desk.charge(2, ledger=ledger)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    desk.charge(4, ledger=ledger)
    ledger.close()
    assert desk.spent()["north/cases", "2021"] == 7


_COMES_AND_GOES = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1])
other.execute("PRAGMA journal_mode = WAL").fetchone()
other.execute("SELECT count(*) FROM charge").fetchone()
other.close()
"""
"""Another process: whoever closes as the last one writes the log back and takes it away."""


@pytest.mark.parametrize("make_desk", ["sqlite"], indirect=True)
def test_opening_a_ledger_twice_in_a_process_takes_no_lock_away(desk: Desk) -> None:
    kept = desk.open(keep_open=True)
    desk.charge(1, ledger=kept)
    desk.open()  # in the same process; this closed a descriptor of the file once, and with it the locks of the kept connection
    subprocess.run([sys.executable, "-c", _COMES_AND_GOES, str(desk.place)], check=True, timeout=180)
    assert Path(f"{desk.place}-wal").exists()  # the other process saw that it was not alone
    desk.charge(2, ledger=kept)
    subprocess.run([sys.executable, "-c", _COMES_AND_GOES, str(desk.place)], check=True, timeout=180)
    desk.open().check_anchor()
    assert desk.spent()["north/cases", "2021"] == 3
    kept.close()


@pytest.mark.parametrize("make_desk", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_ended_is_opened_again(desk: Desk) -> None:
    import psycopg

    ledger = desk.open(keep_open=True)
    desk.charge(1, ledger=ledger)
    with psycopg.connect(str(desk.place), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'casehaven-ledger'"
        )
    desk.charge(2, ledger=ledger)
    assert desk.spent()["north/cases", "2021"] == 3
    ledger.close()


def test_a_ledger_that_is_open_finds_the_anchor_where_another_process_moved_it(desk: Desk) -> None:
    ledger = desk.open(keep_open=True)
    desk.charge(1, ledger=ledger)
    desk.open().set_anchor(desk.folder / "moved.anchor")
    desk.charge(2, ledger=ledger)
    desk.anchor.write_bytes((desk.folder / "moved.anchor").read_bytes())  # an old file there is not asked any more
    (desk.folder / "moved.anchor").unlink()
    with pytest.raises(LedgerError):
        desk.charge(4, ledger=ledger)
    ledger.close()
    assert desk.spent()["north/cases", "2021"] == 3
