"""Erasure: the person cannot be opened again by anybody, from anything that the vault holds; there is a receipt; and no kill leaves it half done."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select

from casehaven.core.audit import entries
from casehaven.core.audit_verify import verify_log
from casehaven.vault import models
from casehaven.vault.datasets import Person
from casehaven.vault.erasure import receipt_of
from casehaven.vault.errors import RolledBackError, UnknownPersonError
from casehaven.vault.rootkeys import file_key
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import Record, SafeHouse

CANARY = "Canary-7f3a"
GONE = f"{CANARY}-token"
WHY = ("--reason", "asked for by the person")
TABLES = (models.person, models.record, models.consent, models.blind_index)

PEOPLE: list[Record] = [
    {
        "token": token,
        "year": "2022",
        "gender": "woman",
        "means": "debt",
        "notes": f"{CANARY}-notes" if token == GONE else "",
        "mayCount": "yes",
        "mayRelease": "yes",
    }
    for token in (*(f"N-{number:04d}" for number in range(20)), GONE)
]


@pytest.fixture
def home(house: SafeHouse) -> SafeHouse:
    house.take_in([*PEOPLE, {**PEOPLE[-1], "year": "2023"}])
    return house


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a vault holds of one person, as a thief of the disk could have copied it."""

    person: Person
    sealed: tuple[bytes, ...]
    token_index: bytes
    files: frozenset[str]


def traces(vault: Vault, token: str = GONE) -> Traces:
    dataset = vault.dataset("north", "cases")
    person = vault.person_by_token(dataset, token)
    assert person is not None
    this = models.record.c.person_id == person.person_id
    with vault.database.transaction(writes=False) as connection:
        sealed = tuple(bytes(found) for found in connection.scalars(select(models.record.c.sealed).where(this)))
    files = frozenset(path.name for path in vault.folder.chunks.rglob("*.chunk"))
    return Traces(person=person, sealed=sealed, token_index=vault.token_index(dataset, token), files=files)


def on_disk(house: SafeHouse) -> bytes:
    """Every byte of the vault, its keystore and its anchor."""
    roots = (house.path, house.path.with_name("vault.keys"), house.path.with_name("vault.anchor"))
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def people_in(vault: Vault) -> int:
    return snapshot(vault, [vault.dataset("north", "cases")], "own_statistics").open_own().people


def gone(vault: Vault, before: Traces, others: int = 20) -> None:
    """Assert that the person is gone whole, and that nobody else is."""
    with vault.database.transaction(writes=False) as connection:
        for table in TABLES:
            this = table.c.person_id == before.person.person_id
            assert connection.scalar(select(func.count()).select_from(table).where(this)) == 0, table.name
        assert connection.scalar(select(func.count()).select_from(models.person)) == others
    dataset = vault.dataset("north", "cases")
    assert vault.person_by_token(dataset, GONE) is None
    with pytest.raises(UnknownPersonError):
        vault.read_records(before.person, reason="trying")
    assert people_in(vault) == others
    assert before.person.person_id in vault.anchor.read().erased


def erase(house: SafeHouse, receipt: Path) -> None:
    result = house.run("person", "erase", GONE, "--yes", "--receipt", receipt, *WHY)
    assert result.exit_code == 0, result.output


# --- what is destroyed ---


def test_an_erased_person_is_gone_from_every_table_and_nobody_else_is(home: SafeHouse, tmp_path: Path) -> None:
    before = traces(home.open())
    assert len(before.sealed) == 2
    erase(home, tmp_path / "receipt.json")
    gone(home.open(), before)


def test_no_byte_of_the_persons_key_records_or_index_is_left_on_disk(home: SafeHouse, tmp_path: Path) -> None:
    before = traces(home.open())
    there = on_disk(home)
    planted = (before.person.wrapped_dek, before.token_index, *before.sealed)
    assert all(found in there for found in planted)
    erase(home, tmp_path / "receipt.json")
    left = on_disk(home)
    assert not any(found in left for found in planted)
    assert CANARY.encode() not in left


def test_the_chunk_that_held_the_person_is_written_anew_under_a_new_key_and_the_old_file_is_gone(
    home: SafeHouse, tmp_path: Path
) -> None:
    vault = home.open()
    before = traces(vault)
    with vault.database.transaction(writes=False) as connection:
        (old,) = connection.execute(select(models.chunk)).all()
    erase(home, tmp_path / "receipt.json")
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        (new,) = connection.execute(select(models.chunk)).all()
    assert new.generation == old.generation + 1
    assert new.path != old.path
    assert new.wrapped_dek != old.wrapped_dek
    dataset = vault.dataset("north", "cases")
    rows = vault.read_chunk(dataset, vault.keys_of(dataset), new)
    assert before.person.person_id not in rows.persons.tolist()
    assert len(rows) == 20
    assert {path.name for path in vault.folder.chunks.rglob("*")} & before.files == set()


def test_corrections_and_what_they_replaced_go_too(home: SafeHouse, tmp_path: Path) -> None:
    assert home.run("person", "correct", GONE, "--record", "1", "--set", "age=19", *WHY).exit_code == 0
    before = traces(home.open())
    assert len(before.sealed) == 3
    erase(home, tmp_path / "receipt.json")
    gone(home.open(), before)
    assert not any(sealed in on_disk(home) for sealed in before.sealed)


def test_the_reasons_of_earlier_entries_go_and_the_entries_stay(home: SafeHouse, tmp_path: Path) -> None:
    home.run("person", "show", GONE, "--reason", f"call about {CANARY}")
    number = str(traces(home.open()).person.person_id)
    erase(home, tmp_path / "receipt.json")
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        found = [(one.action, vault.audit.reason(one)) for one in entries(connection) if one.object_id == number]
    assert found == [("person.read", None), ("person.find", None), ("person.erase", "asked for by the person")]
    assert home.run("audit", "verify").exit_code == 0


def test_the_same_file_taken_in_again_does_not_bring_the_person_back(home: SafeHouse, tmp_path: Path) -> None:
    before = traces(home.open())
    erase(home, tmp_path / "receipt.json")
    home.take_in([*PEOPLE, {**PEOPLE[-1], "year": "2023"}])
    gone(home.open(), before)


def test_an_older_copy_of_the_vault_put_back_does_not_open(home: SafeHouse, tmp_path: Path) -> None:
    shutil.copytree(home.path, tmp_path / "older")
    erase(home, tmp_path / "receipt.json")
    shutil.rmtree(home.path)
    shutil.copytree(tmp_path / "older", home.path)
    with pytest.raises(RolledBackError):
        home.open()
    assert home.run("person", "show", GONE, *WHY).exit_code == 1


def test_a_person_in_two_datasets_is_erased_from_the_one_that_was_named(home: SafeHouse, tmp_path: Path) -> None:
    home.add_dataset("hotline")
    home.take_in(PEOPLE, name="hotline")
    named = ("--dataset", "north/cases")
    assert home.run("person", "erase", GONE, "--yes", "--receipt", tmp_path / "r.json", *named, *WHY).exit_code == 0
    assert home.run("person", "find", GONE, *named, *WHY).exit_code == 1
    assert home.run("person", "find", GONE, "--dataset", "north/hotline", *WHY).exit_code == 0


# --- the receipt ---


def test_the_receipt_is_signed_says_what_was_done_and_holds_nothing_of_the_person(
    home: SafeHouse, tmp_path: Path
) -> None:
    before = traces(home.open())
    erase(home, tmp_path / "receipt.json")
    unverified = (tmp_path / "receipt.json").read_bytes()
    assert CANARY.encode() not in unverified
    signed = json.loads(unverified)
    body = signed["receipt"].encode("utf-8")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed["public_key"]))
    assert key == home.open().keystore.signing_key().public_key()
    key.verify(base64.b64decode(signed["signature"]), body)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signed["signature"]), body.replace(b"north", b"south"))
    receipt = json.loads(body)
    assert receipt["dataset"] == "north/cases"
    assert receipt["number"] == str(before.person.person_id)
    assert len(receipt["destroyed"]) == 4
    assert any("backup" in line for line in receipt["not_reached"])
    assert any("releases that were published" in line for line in receipt["stays"])
    with home.open().database.transaction(writes=False) as connection:
        kept = connection.execute(select(models.erasure)).one()
    assert bytes(kept.receipt_sha256) == hashlib.sha256(body).digest()
    assert kept.erased_month == receipt["erased_month"]


def test_a_receipt_that_was_lost_is_written_again_byte_for_byte(home: SafeHouse, tmp_path: Path) -> None:
    number = traces(home.open()).person.person_id
    erase(home, tmp_path / "receipt.json")
    lost = ("--reason", "the receipt was lost")
    again = home.run("person", "erase", "--receipt-again", str(number), "--receipt", tmp_path / "again.json", *lost)
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "receipt.json").read_bytes()
    assert home.run("person", "erase", "--receipt-again", "17", "--receipt", tmp_path / "no.json", *lost).exit_code == 1


def test_nothing_is_erased_unless_that_is_typed_or_while_the_receipt_has_no_place(
    home: SafeHouse, tmp_path: Path
) -> None:
    before = traces(home.open())
    (tmp_path / "taken.json").write_text("mine")
    for typed, receipt in (("", "r.json"), ("erase\n", "r.json"), ("y\n", "r.json"), ("ERASE\n", "taken.json")):
        result = home.run("person", "erase", GONE, "--receipt", tmp_path / receipt, *WHY, given=typed)
        assert result.exit_code == 1, typed
    assert not (tmp_path / "r.json").exists()
    assert (tmp_path / "taken.json").read_text() == "mine"
    assert traces(home.open()) == before
    result = home.run("person", "erase", GONE, "--receipt", tmp_path / "r.json", *WHY, given="ERASE\n")
    assert result.exit_code == 0
    gone(home.open(), before)


def test_without_its_anchor_a_vault_erases_nobody(home: SafeHouse, tmp_path: Path) -> None:
    vault = home.open()
    before = traces(vault)
    anchor = home.path.with_name("vault.anchor")
    anchor.rename(tmp_path / "elsewhere")
    assert home.run("person", "erase", GONE, "--yes", "--receipt", tmp_path / "r.json", *WHY).exit_code == 1
    (tmp_path / "elsewhere").rename(anchor)
    assert traces(home.open()) == before


# --- 50 times kill -9 ---

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import casehaven.cli.person  # loaded once, before the forks
from casehaven.people import People
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault

KINDS = {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "fcntl.flock", "sqlite3.connect", "sqlite3.connect/handle"}
TOKEN = sys.argv[1]

def erase(folder, kill_at):
    # Steps are counted from the erasure on: opening the vault erases nobody.
    vault = Vault.open(folder / "vault", file_key(folder / "root.key"))
    people = People(vault, vault.dataset("north", "cases"))
    steps = 0
    def count(event, arguments):
        nonlocal steps
        if event in KINDS:
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    people.erase(TOKEN, reason="asked for by the person")
    return steps

def run(folder, kill_at, delay):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b"%d" % erase(folder, kill_at))
        finally:
            os._exit(0)
    os.close(writing)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return os.WIFSIGNALED(status), int(pipe.read() or 0)

folders = [Path(name) for name in sys.argv[2:]]
began = time.monotonic()
killed, steps = run(folders[0], -1, None)
took = time.monotonic() - began
assert not killed and steps > 10, steps
draw = random.Random(50)
for number, folder in enumerate(folders[1:]):
    if number == len(folders) - 2:
        run(folder, -1, None)  # this kill comes too late, whatever else the machine does
    elif number % 2:
        killed, _ = run(folder, -1, draw.uniform(0, took))
    else:
        killed, _ = run(folder, 1 + number * steps // len(folders[1:]), None)
        assert killed
"""


def test_an_erasure_killed_at_any_of_50_moments_is_whole_or_not_begun_and_can_be_done_again(
    home: SafeHouse, tmp_path: Path
) -> None:
    folders = [tmp_path / f"kill-{number}" for number in range(51)]
    for folder in folders:
        shutil.copytree(home.folder, folder)
    before = traces(home.open())
    subprocess.run([sys.executable, "-c", KILLED, GONE, *map(str, folders)], check=True, timeout=600)
    outcomes = [settle(type(home)(folder=folder), before) for folder in folders]
    assert outcomes[0] == "erased"
    assert set(outcomes[1:]) == {"untouched", "finished on opening", "erased"}  # the kills fell on every stage


def settle(house: SafeHouse, before: Traces) -> str:
    """Say what a killed erasure left behind, assert that it is whole, and finish it."""
    root = file_key(house.folder / "root.key")
    left_there = Vault.open(house.path, root, check_anchor=False)  # as it was left: nothing is finished yet
    begun = before.person.person_id in left_there.anchor.read().erased
    outcome = "erased"
    if left_there.person_by_token(left_there.dataset("north", "cases"), GONE) is not None:
        outcome = "finished on opening" if begun else "untouched"
    vault = house.open()
    if outcome == "untouched":
        assert traces(vault).sealed == before.sealed
        assert people_in(vault) == 21
        assert len(vault.read_records(before.person, reason="looking")) == 2
        house.people(vault).erase(GONE, reason="asked for by the person")
    gone(vault, before)
    assert receipt_of(vault, before.person.person_id).dataset == "north/cases"
    left = on_disk(house)
    assert before.person.wrapped_dek not in left
    assert not any(sealed in left for sealed in before.sealed)
    assert not {path.name for path in vault.folder.chunks.rglob("*")} & before.files
    with vault.database.transaction(writes=False) as connection:
        verify_key, head = vault.keystore.verify_key, vault.anchor.read().head
        assert verify_log(connection, vault.audit, verify_key, anchor=head).whole
    return outcome
