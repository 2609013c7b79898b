"""The ledger under processes that die, race each other, run out of disk, or meet a damaged file.

Each scenario runs in processes of its own, which really are killed: SIGKILL leaves no chance to tidy up.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from tests.forked import run_forked

from casehaven.ledger import (
    BudgetExhaustedError,
    BudgetPolicy,
    ChargeState,
    DamagedLedgerError,
    DrawRefusedError,
    IdempotencyKey,
    Ledger,
    LedgerBusyError,
    LedgerError,
    LedgerPolicy,
    LedgerStorageError,
    LedgerVersionError,
    NotALedgerError,
    Step,
)
from casehaven.ledger._store import connect
from casesynth.privacy import PrivacyLoss

KEY = IdempotencyKey(text="one-request")
LOSS = PrivacyLoss(nano_rho=1000)
DIGEST = "d" * 64
BLOCKS = ["2021", "2022"]
DATASETS = ["north/cases", "south/cases"]

RELEASE = """
import os, signal, sys
from pathlib import Path
from casehaven.ledger import ChargeState, IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss

path, step, shown = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

def failpoint(reached):
    if reached == step:
        os.kill(os.getpid(), signal.SIGKILL)

ledger = Ledger.open(path, failpoint=failpoint)
receipt = ledger.charge(
    key=IdempotencyKey(text="one-request"), body={"plan": 1}, datasets=["north/cases", "south/cases"],
    blocks=["2021", "2022"], loss=PrivacyLoss(nano_rho=1000), purpose="synthetic_release",
)
if ledger.record(receipt).state is not ChargeState.WRITING:
    ledger.begin_draw(receipt)
    with open(shown, "a") as file:
        print("drawn", file=file, flush=True)
ledger.begin_writing(receipt, "d" * 64)
if step.startswith("withdraw"):
    ledger.withdraw_writing(receipt)
with open(shown, "a") as file:
    print("written", file=file, flush=True)
ledger.mark_revealed(receipt, "d" * 64)
with open(shown, "a") as file:
    print("revealed", file=file, flush=True)
"""

RACE = """
import json, os, sys
from pathlib import Path
from casehaven.ledger import BudgetExhaustedError, IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss

path, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def spender(number):
    ledger = Ledger.open(path)
    datasets = (["north/cases"], ["south/cases"], ["north/cases", "south/cases"])[number % 3]
    blocks = (["2021"], ["2022"], ["2021", "2022"])[number // 3 % 3]
    paid, refused = [], 0
    while refused < 3:
        loss = PrivacyLoss(nano_rho=(2003, 499, 97)[refused])
        try:
            ledger.charge(key=IdempotencyKey.create(), body={"n": number}, datasets=datasets, blocks=blocks, loss=loss,
                          purpose="synthetic_release")
            paid.append([datasets, blocks, loss.nano_rho])
        except BudgetExhaustedError:
            refused += 1
    same = ledger.charge(key=IdempotencyKey(text="shared-key"), body={}, datasets=["shared/cases"], blocks=["2021"],
                         loss=PrivacyLoss(nano_rho=1), purpose="synthetic_release")
    (folder / f"{number}.json").write_text(json.dumps({"paid": paid, "same": same.charge_id}))

children = []
for number in range(count):
    child = os.fork()
    if child == 0:
        try:
            spender(number)
        except BaseException as error:
            (folder / f"{number}.failed").write_text(repr(error))
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""

SPEND_FOR_EVER = """
import os, sys
from pathlib import Path
from casehaven.ledger import IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss

ledger = Ledger.open(Path(sys.argv[1]))
while True:
    receipt = ledger.charge(key=IdempotencyKey.create(), body={}, datasets=["north/cases"], blocks=["2021"],
                            loss=PrivacyLoss(nano_rho=1), purpose="synthetic_release")
    os.write(1, receipt.charge_id.encode() + b"\\n")  # in one call, so that a kill never leaves half a line
"""

NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from casehaven.ledger import IdempotencyKey, Ledger, LedgerError
from casesynth.privacy import PrivacyLoss

ledger = Ledger.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    ledger.charge(key=IdempotencyKey(text="no-room-left"), body={}, datasets=["north/cases", "south/cases"],
                  blocks=[str(year) for year in range(1950, 2050)], loss=PrivacyLoss(nano_rho=5), purpose="synthetic_release")
    print("charged")
except LedgerError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("0.05", "1e-6")))
    for dataset in DATASETS:
        made.open_dataset(dataset, BLOCKS)
    return made


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_forked(script, *arguments, modules="casehaven.ledger")


def balances(ledger: Ledger) -> set[int]:
    return {row.spent_nano_rho for row in Ledger.open(ledger.path).statement().rows}


def spend(ledger: Ledger, key: IdempotencyKey | None = None, nano_rho: int = 1000) -> str:
    return ledger.charge(
        key=key or IdempotencyKey.create(),
        body={"plan": 1},
        datasets=DATASETS,
        blocks=BLOCKS,
        loss=PrivacyLoss(nano_rho=nano_rho),
        purpose="synthetic_release",
    ).charge_id


# --- kill -9 --------------------------------------------------------------------------------------------------------------

NOT_YET_CHARGED = ("charge.begun", "ceiling.raised", "charge.written")
OF_A_RELEASE = [step for step in get_args(Step) if not step.startswith(("answer.", "resume.", "open."))]


@pytest.mark.parametrize("step", OF_A_RELEASE)
def test_a_kill_at_any_step_leaves_the_ledger_readable_and_no_loss_unpaid(
    ledger: Ledger, tmp_path: Path, step: Step
) -> None:
    shown = tmp_path / "shown"
    killed = run(RELEASE, ledger.path, step, shown)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines = shown.read_text().split() if shown.exists() else []
    assert balances(ledger) == {0 if step in NOT_YET_CHARGED else 1000}  # all accounts or none
    assert min(balances(ledger)) >= 1000 * bool(lines)

    again = run(RELEASE, ledger.path, "nowhere", shown)
    assert balances(ledger) == {1000}  # the same request is charged once, however often it is sent
    state = Ledger.open(ledger.path).find(KEY)
    assert state is not None
    assert state.state is ChargeState.REVEALED
    lines = shown.read_text().split()
    assert lines.count("drawn") <= 2
    if step in (
        "writing.committed",
        "withdraw.written",
        "reveal.written",
    ):  # bytes may be on disk: finished, not drawn again
        assert lines.count("drawn") == 1
    if step == "reveal.committed":  # the result may have left: it is never drawn again
        assert "AlreadyRevealedError" in again.stderr
        assert lines.count("drawn") == 1
    else:
        assert again.returncode == 0, again.stderr
        assert lines.count("revealed") == 1


def test_a_process_that_dies_at_every_draw_gets_two_and_no_third(ledger: Ledger, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    for _ in range(2):
        assert run(RELEASE, ledger.path, "draw.committed", shown).returncode == -signal.SIGKILL
    third = run(RELEASE, ledger.path, "nowhere", shown)
    assert third.returncode == 1
    assert "DrawRefusedError" in third.stderr
    assert not shown.exists()
    assert balances(ledger) == {1000}
    found = ledger.find(KEY)
    assert found is not None
    with pytest.raises(DrawRefusedError):
        ledger.begin_draw(found.receipt)


def test_no_acknowledged_charge_is_lost_when_the_process_is_killed_at_any_moment(ledger: Ledger) -> None:
    acknowledged = 0
    moments = random.Random(5)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", SPEND_FOR_EVER, str(ledger.path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            receipts = [process.stdout.readline() for _ in range(moments.randrange(2, 12))]
            time.sleep(moments.uniform(0, 0.02))
            process.kill()
            receipts += process.stdout.readlines()
        assert {len(receipt) for receipt in receipts} == {33}
        acknowledged += len(receipts)
        spent = max(balances(ledger))
        assert spent >= acknowledged
        acknowledged = spent  # a charge in flight may have been committed without being acknowledged
    assert acknowledged > 10


# --- races (privacy rule 15) ------------------------------------------------------------------------------------------------


def test_sixteen_processes_racing_never_exceed_a_cap_and_lose_no_charge(ledger: Ledger, tmp_path: Path) -> None:
    ledger.open_dataset("shared/cases", ["2021"])
    folder = tmp_path / "paid"
    folder.mkdir()
    raced = run(RACE, ledger.path, folder, 16)
    failures = {path.name: path.read_text() for path in folder.glob("*.failed")}
    assert raced.returncode == 0, (failures, raced.stderr)
    results = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert len(results) == 16
    paid: dict[tuple[str, str], int] = {}
    for datasets, blocks, nano_rho in (charge for result in results for charge in result["paid"]):
        for account in ((dataset, block) for dataset in datasets for block in blocks):
            paid[account] = paid.get(account, 0) + nano_rho
    rows = {(row.dataset, row.block): row for row in Ledger.open(ledger.path).statement().rows}
    for account, amount in paid.items():
        assert rows[account].spent_nano_rho == amount  # what was acknowledged is what was charged
        assert rows[account].cap_nano_rho - 97 < amount <= rows[account].cap_nano_rho  # the race reached the cap
    assert set(paid) == {(dataset, block) for dataset in DATASETS for block in BLOCKS}
    assert len({result["same"] for result in results}) == 1  # sixteen times one request: one receipt
    assert rows["shared/cases", "2021"].spent_nano_rho == 1


def test_a_ledger_that_others_hold_too_long_is_refused_and_charges_nothing(ledger: Ledger) -> None:
    def impatient(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA busy_timeout = 10").close()
        return connection

    waiting = Ledger.open(ledger.path, connector=impatient)
    holder = connect(ledger.path)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusyError, match="nothing was charged"):
            spend(waiting)
        assert {row.spent_nano_rho for row in waiting.statement().rows} == {0}  # reading goes on meanwhile
        holder.execute("ROLLBACK")
        spend(waiting)
    finally:
        holder.close()
    assert balances(ledger) == {1000}


# --- a full disk ----------------------------------------------------------------------------------------------------------


def test_a_full_database_gives_a_clear_error_and_no_half_charge(ledger: Ledger) -> None:
    def cramped(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}").close()
        return connection

    full = Ledger.open(ledger.path, connector=cramped)
    paid = 0
    with pytest.raises(LedgerStorageError, match="no space left.*nothing was charged"):
        for _ in range(500):
            spend(full, nano_rho=1)
            paid += 1
    assert balances(ledger) == {paid}
    spend(ledger, nano_rho=1)  # with space again, it goes on
    assert balances(ledger) == {paid + 1}


def test_a_write_that_the_system_cuts_off_anywhere_leaves_a_whole_charge_or_none(ledger: Ledger) -> None:
    years = [str(year) for year in range(1950, 2050)]
    for dataset in DATASETS:
        ledger.open_dataset(dataset, years)
    outcomes = set()
    for room in (0, 8_192, 30_000, 60_000, 1_000_000):
        before = balances(ledger)
        ended = run(NO_ROOM, ledger.path, room)
        assert ended.returncode == 0, ended.stderr
        assert len(balances(ledger)) == 1  # all accounts or none
        if ended.stdout.strip() == "charged":
            assert balances(ledger) == {5}
        else:
            assert ended.stdout.strip() in ("LedgerStorageError", "LedgerMissingError")
            assert balances(ledger) == before
        outcomes.add(ended.stdout.strip())
    assert {"LedgerStorageError", "charged"} <= outcomes


def test_a_read_only_ledger_is_refused_in_words(ledger: Ledger) -> None:
    def read_only(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA query_only = ON").close()
        return connection

    with pytest.raises(LedgerStorageError, match="may not be written"):
        spend(Ledger.open(ledger.path, connector=read_only))


# --- damage ---------------------------------------------------------------------------------------------------------------


def test_no_flipped_byte_changes_a_balance_or_a_cap_unseen(ledger: Ledger, tmp_path: Path) -> None:
    for _ in range(5):
        spend(ledger)
    whole = ledger.path.read_bytes()
    truth = [(row.dataset, row.block, row.spent_nano_rho, row.cap_nano_rho) for row in ledger.statement().rows]
    used = [position for position in range(len(whole)) if whole[position]]
    rules = whole.index(b"CREATE TRIGGER")  # damaged words of the database get into its messages
    words = [position for position in used if rules <= position < rules + 400]
    refused = 0
    for number, position in enumerate([*random.Random(7).sample(used, 400), *random.Random(8).sample(words, 200)]):
        copy = tmp_path / f"copy{number}.sqlite"
        damaged = bytearray(whole)
        damaged[position] ^= 1 << number % 8
        copy.write_bytes(damaged)
        try:
            rows = Ledger.open(copy).statement().rows
        except LedgerError:
            refused += 1
        else:
            assert [(r.dataset, r.block, r.spent_nano_rho, r.cap_nano_rho) for r in rows] == truth, position
        copy.unlink()
    assert refused > 50


def test_a_rule_of_the_database_that_damage_made_bytes_is_damage(ledger: Ledger) -> None:
    connection = sqlite3.connect(ledger.path)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE name = 'ledger_stays'")
    connection.commit()
    connection.close()
    with pytest.raises(DamagedLedgerError):
        Ledger.open(ledger.path)


@pytest.mark.parametrize("keep", [1, 100, 4096, 8192, 20_000])
def test_a_file_that_was_cut_off_is_refused(ledger: Ledger, keep: int) -> None:
    spend(ledger)
    os.truncate(ledger.path, keep)
    with pytest.raises((DamagedLedgerError, NotALedgerError)):
        Ledger.open(ledger.path)


def test_an_empty_file_is_refused_and_not_filled(ledger: Ledger) -> None:
    os.truncate(ledger.path, 0)
    with pytest.raises(NotALedgerError, match="is empty"):
        Ledger.open(ledger.path)
    assert ledger.path.stat().st_size == 0


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough", b"SQLite format 3\x00 and nothing of it"]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content * 40)
    with pytest.raises((NotALedgerError, DamagedLedgerError)):
        Ledger.open(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE account (spent INTEGER)")
    other.close()
    with pytest.raises(NotALedgerError, match="not a ledger"):
        Ledger.open(tmp_path / "other.sqlite")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(NotALedgerError):
            Ledger.open(path)


def edit(ledger: Ledger, *statements: str) -> None:
    connection = sqlite3.connect(ledger.path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(ledger: Ledger) -> None:
    edit(ledger, "PRAGMA user_version = 9")
    with pytest.raises(LedgerVersionError, match="version 9, this software knows version 4"):
        Ledger.open(ledger.path)


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TRIGGER account_never_falls",),
        ("DROP TRIGGER account_never_falls", "UPDATE account SET spent_nano_rho = 0"),
        ("DROP TRIGGER charge_line_stays", "DELETE FROM charge_line"),
        ("DROP TRIGGER charge_only_advances", "UPDATE charge SET nano_rho = 1"),
    ],
)
def test_a_file_that_was_edited_behind_the_ledgers_back_is_refused(ledger: Ledger, statements: tuple[str, ...]) -> None:
    spend(ledger)
    edit(ledger, *statements)
    with pytest.raises(DamagedLedgerError):
        Ledger.open(ledger.path)


@pytest.mark.parametrize(
    ("trigger", "statement", "why"),
    [
        ("account_never_falls", "UPDATE account SET spent_nano_rho = 0", "not the sum of its charges"),
        ("cap_rises_by_a_raise", "UPDATE account SET cap_nano_rho = cap_nano_rho + 1 WHERE account_id = 1", "the cap"),
        ("charge_stays", "DELETE FROM charge", "an account that is not there"),
        ("charge_line_stays", "DELETE FROM charge_line", "not the sum of its charges"),
    ],
)
def test_an_edit_that_puts_the_rules_back_is_still_found(
    ledger: Ledger, trigger: str, statement: str, why: str
) -> None:
    spend(ledger)
    connection = sqlite3.connect(ledger.path)
    with connection:
        rule = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (trigger,)).fetchone()[0]
        for step in (f"DROP TRIGGER {trigger}", statement, rule):
            connection.execute(step)
    connection.close()
    with pytest.raises(DamagedLedgerError, match=why):
        Ledger.open(ledger.path)


def test_a_whole_copy_opens_with_everything_that_was_spent(ledger: Ledger, tmp_path: Path) -> None:
    spend(ledger)
    shutil.copy(ledger.path, tmp_path / "copy.sqlite")
    copy = Ledger.open(tmp_path / "copy.sqlite")
    assert balances(copy) == {1000}
    with pytest.raises(BudgetExhaustedError):
        spend(copy, nano_rho=copy.statement().rows[0].remaining_nano_rho + 1)
