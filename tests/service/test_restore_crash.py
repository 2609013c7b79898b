"""kill -9 in the middle of a backup or a restore: what has its name is whole, and the next attempt works (backup.md, promise 7)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from casehaven.core.audit_verify import verify_log
from casehaven.vault.backup import write_backup
from casehaven.vault.erasure import erase_person
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import file_key

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from casehaven.vault.backup import Backup, write_backup
from casehaven.vault.keystore import Keystore
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault

KINDS = {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "fcntl.flock", "sqlite3.connect", "sqlite3.connect/handle"}
folder, what = Path(sys.argv[1]), sys.argv[2]
root = file_key(folder / "root.key")

def work(target):
    if what == "backup":
        write_backup(Vault.open(folder / "vault", root), target)
        return
    restore(folder / "backup", target, root, keystore=folder / "vault.keys", anchor=folder / "vault.anchor", reason="x")

def run(target, kill_at, delay):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        steps = 0
        def count(event, arguments):
            nonlocal steps
            steps += event in KINDS
            if event in KINDS and steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        try:
            work(target)
            os.write(writing, b"%d" % steps)
        finally:
            os._exit(0)
    os.close(writing)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return os.WIFSIGNALED(status), int(pipe.read() or 0)

def left():
    return [path for path in folder.iterdir() if path.name.endswith(".partial")]

began = time.monotonic()
killed, steps = run(folder / "first", -1, None)
took = time.monotonic() - began
assert not killed and steps > 20, steps
draw = random.Random(22)
named = 0
for number in range(16):
    target = folder / "again"
    if target.exists():
        shutil.rmtree(target)
    if number % 2:
        run(target, -1, draw.uniform(0, took))
    else:
        killed, _ = run(target, 1 + number * steps // 16, None)
        assert killed
    if target.exists():
        named += 1
        if what == "backup":
            Backup.open(target, Keystore.open(folder / "vault.keys", root))
        else:
            Vault.open(target, root).database.check()
assert named < 16
shutil.rmtree(folder / "again", ignore_errors=True)
assert len(left()) <= 1  # each attempt removes what the one before it left
run(folder / "again", -1, None)
assert not left()
"""


def _killed(house: SafeHouse, what: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(house.folder), what], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]


def test_a_restore_killed_at_any_moment_is_whole_or_absent_and_the_next_one_works(
    house: SafeHouse, people: MakePeople
) -> None:
    house.take_in([{**record, "mayCare": "yes"} for record in people(20)])
    vault = house.open()
    write_backup(vault, house.folder / "backup")
    with vault.locked(vault.dataset("north", "cases")) as dataset:
        person = vault.person_by_token(dataset, "p00003")
        assert person is not None
        erase_person(vault, dataset, person, reason="asked for it")
    _killed(house, "restore")
    root = file_key(house.folder / "root.key")
    places: dict[str, Any] = {"keystore": house.folder / "vault.keys", "anchor": house.folder / "vault.anchor"}
    again = restore(house.folder / "backup", house.folder / "last", root, reason="at last", **places)
    dataset = again.dataset("north", "cases")
    assert again.person_by_token(dataset, "p00003") is None
    assert again.person_by_token(dataset, "p00004") is not None
    with again.database.transaction(writes=False) as connection:
        head = again.anchor.read().head
        assert verify_log(connection, again.audit, again.keystore.verify_key, anchor=head).whole


def test_a_backup_killed_at_any_moment_is_whole_or_absent_and_the_next_one_works(
    house: SafeHouse, people: MakePeople
) -> None:
    house.take_in([{**record, "mayCare": "yes"} for record in people(20)])
    _killed(house, "backup")
    vault = house.open()
    write_backup(vault, house.folder / "last")
    with vault.database.transaction(writes=False) as connection:
        head = vault.anchor.read().head
        assert verify_log(connection, vault.audit, vault.keystore.verify_key, anchor=head).whole
