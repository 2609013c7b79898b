"""A copy that is put back never spends again what was spent (privacy rule 20): it is behind its anchor, and resumes from the ceiling.

The copies are real: of the file with everything in it, or of every row on the server.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, make_url

from casehaven.ledger import (
    AnswerKey,
    BrokenLedgerAnchorError,
    BudgetExhaustedError,
    BudgetPolicy,
    ChargeState,
    DecisionKind,
    DrawRefusedError,
    IdempotencyKey,
    Ledger,
    LedgerAnchorMissingError,
    LedgerBehindAnchorError,
    LedgerError,
    LedgerExistsError,
    LedgerPolicy,
    UnboundedAccountError,
    _migrate,
    models,
)
from casehaven.ledger.anchored import STEPS
from casehaven.ledger.anchoring import stored_anchor

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk

CAP = BudgetPolicy.of("2", "1e-6").cap_nano_rho()
STEP = -(-CAP // STEPS)
RESULT = "ab" * 32
KEY = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)


@contextmanager
def refused(desk: Desk) -> Iterator[None]:
    """Everything that spends or shows is refused in the block, and nothing changes."""
    before = desk.open().statement()
    with pytest.raises(LedgerBehindAnchorError, match="an earlier copy"):
        desk.charge(1)
    yield
    assert desk.open().statement() == before


def test_a_copy_from_before_a_draw_spends_nothing_until_it_is_resumed_from_the_ceiling(desk: Desk) -> None:
    lost = desk.draw(10)
    put_back = desk.copy()
    lost += desk.draw(STEP + 3)
    put_back()
    assert desk.spent()["north/cases", "2021"] == 10
    with refused(desk), pytest.raises(LedgerBehindAnchorError):
        desk.open().mark_unbounded("north/cases", RESULT)
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] == 2 * STEP >= lost  # a sixteenth at the most is lost
    assert desk.spent()["south/cases", "2021"] == 0
    lost += desk.draw(5)
    assert desk.spent()["north/cases", "2021"] >= lost
    assert len(desk.open().statement().resumed) == 1
    assert desk.open().resume() is False


def test_a_copy_that_missed_no_draw_goes_on_and_nothing_that_was_shown_is_forgotten(desk: Desk) -> None:
    """A charge without a draw is no loss: a copy from before it is not behind."""
    lost = desk.draw(10)
    put_back = desk.copy()
    desk.charge(STEP)
    put_back()
    lost += desk.draw(7)
    assert desk.spent()["north/cases", "2021"] == lost


def test_however_often_a_copy_is_put_back_the_true_loss_stays_within_the_cap(desk: Desk) -> None:
    put_back, lost = desk.copy(), 0
    for turn in range(12):
        try:
            lost += desk.draw(2 * STEP + turn)
        except LedgerBehindAnchorError:
            assert desk.open().resume()
        except BudgetExhaustedError:
            break
        assert desk.spent()["north/cases", "2021"] >= lost or turn
        if turn % 2 == 0:
            put_back()
    else:
        pytest.fail("the cap was never reached")
    assert 0 < lost <= CAP


def test_two_copies_that_both_go_on_are_told_apart(desk: Desk) -> None:
    put_back = desk.copy()
    first = desk.charge(5)
    desk.open().begin_draw(first)
    later = desk.copy()
    put_back()
    with pytest.raises(LedgerBehindAnchorError):
        desk.charge(6)
    assert desk.open().resume()
    desk.draw(7)
    later()  # and the first course again: now it is the one that is behind
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().mark_revealed(first, RESULT)
    with pytest.raises(LedgerBehindAnchorError):
        desk.charge(1)
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= 12


def test_a_charge_of_before_the_resumption_is_never_drawn_again(desk: Desk) -> None:
    """The copy says that nothing was drawn under it, and it was, and shown."""
    receipt = desk.charge(50)
    put_back = desk.copy()
    ledger = desk.open()
    ledger.begin_draw(receipt)
    ledger.store_answer(receipt, KEY, document="{}", visible_at=0)
    put_back()
    assert desk.open().record(receipt).state is ChargeState.CHARGED
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().begin_draw(receipt)
    desk.open().resume()
    with pytest.raises(DrawRefusedError, match="before this ledger was resumed"):
        desk.open().begin_draw(receipt)
    fresh = desk.charge(50)
    desk.open().begin_draw(fresh)


def test_a_copy_from_between_a_draw_and_its_result_is_behind(desk: Desk) -> None:
    receipt = desk.charge(50, purpose="synthetic_release")
    desk.open().begin_draw(receipt)
    put_back = desk.copy()
    desk.open().begin_writing(receipt, RESULT)
    put_back()
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().begin_draw(receipt)  # the redraw of a result that was written


def test_what_the_copy_forgot_of_datasets_raises_and_marks_comes_back(desk: Desk) -> None:
    put_back = desk.copy()
    desk.open().open_dataset("east/cases", ["2023"])
    desk.draw(30, datasets=["east/cases"], blocks=["2023"])
    desk.open().mark_unbounded("south/cases", RESULT)
    put_back()
    desk.open().resume()
    rows = {(row.dataset, row.block): row for row in desk.open().statement().rows}
    assert rows["east/cases", "2023"].spent_nano_rho == STEP
    assert rows["south/cases", "2021"].unbounded_since is not None
    with pytest.raises(UnboundedAccountError):
        desk.charge(datasets=["south/cases"])
    desk.open().open_dataset("east/cases", ["2023"])  # opens no fresh budget
    assert desk.spent()["east/cases", "2023"] == STEP


def test_a_copy_that_forgot_a_decision_is_behind(desk: Desk) -> None:
    receipt = desk.charge(purpose="synthetic_release")
    ledger = desk.open()
    ledger.begin_draw(receipt)
    ledger.mark_revealed(receipt, RESULT)
    put_back = desk.copy()
    ledger.decide(receipt.charge_id, DecisionKind.WITHHELD)
    put_back()
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().decide(receipt.charge_id, DecisionKind.PUBLISHED)


def test_lost_spending_counts_for_a_person_in_both_datasets(desk: Desk) -> None:
    put_back = desk.copy()
    desk.draw(10, datasets=["north/cases", "south/cases"])
    put_back()
    desk.open().resume()
    assert desk.open().statement().odometer.nano_rho == 4 * STEP  # as if every lost charge had touched both


# --- the anchor itself ------------------------------------------------------------------------------------------------------


def test_without_the_anchor_the_ledger_reads_and_spends_nothing(desk: Desk) -> None:
    receipt = desk.charge(5)
    before = desk.open().statement()
    away = desk.anchor.rename(desk.folder / "away")
    for spending in (
        desk.charge,
        lambda: desk.open().begin_draw(receipt),
        lambda: desk.open().mark_unbounded("north/cases", RESULT),
        lambda: desk.open().resume(),
    ):
        with pytest.raises(LedgerAnchorMissingError):
            spending()
    assert desk.open().statement() == before
    away.rename(desk.anchor)
    desk.open().begin_draw(receipt)


def test_no_other_bytes_pass_for_the_anchor(desk: Desk) -> None:
    desk.draw(5)
    whole = desk.anchor.read_bytes()
    with desk.open()._store.transaction(writes=False) as connection:
        anchor = stored_anchor(connection, desk.open()._store.path)
    end, state, refused = anchor.end(), anchor.state(), 0
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1
        desk.anchor.write_bytes(changed)
        try:
            assert anchor.end() == end  # one of the two slots is whole, or the bytes between them say nothing
        except AssertionError:
            assert anchor.end().position < end.position  # the slot before it
        try:
            assert anchor.state() == state
        except BrokenLedgerAnchorError:
            refused += 1
    assert refused > (len(whole) - 1024) // 7 - 3  # every byte of the state
    for other in (b"", b"x" * 5000, whole[:100]):
        desk.anchor.write_bytes(other)
        with pytest.raises(BrokenLedgerAnchorError):
            desk.charge()


def test_the_anchor_of_another_ledger_is_refused(desk: Desk) -> None:
    Ledger.create(desk.folder / "other.sqlite", LedgerPolicy(account=BudgetPolicy.of("2", "1e-6")))
    shutil.copy(desk.folder / "other.sqlite.anchor", desk.anchor)
    with pytest.raises(BrokenLedgerAnchorError):
        desk.charge()


def test_the_anchor_tells_sixteenths_and_no_name_of_a_person_or_an_analyst(desk: Desk, amina: Any) -> None:
    desk.draw(12_345, analyst=amina)
    state = desk.anchor.read_bytes()
    assert desk.anchor.stat().st_mode & 0o777 == 0o600
    assert b"amina" not in state
    assert b"12345" not in state


def test_the_anchor_can_be_moved_and_the_old_place_is_no_anchor_any_more(desk: Desk, tmp_path: Path) -> None:
    put_back = desk.copy()
    (tmp_path / "stick").mkdir()
    desk.open().set_anchor(tmp_path / "stick" / "anchor")
    assert desk.open().anchor_path == tmp_path / "stick" / "anchor"
    assert not desk.anchor.exists()
    desk.draw(5)
    (tmp_path / "stick" / "anchor").rename(tmp_path / "stick" / "moved")
    desk.open().set_anchor(tmp_path / "stick" / "moved")  # somebody moved the file
    desk.draw(5)
    with pytest.raises(LedgerExistsError):
        (tmp_path / "there").write_bytes(b"x")
        desk.open().set_anchor(tmp_path / "there")
    put_back()
    with pytest.raises(LedgerAnchorMissingError):
        desk.charge(1)


# --- a ledger of an earlier version -------------------------------------------------------------------------------------------

WRITTEN = Path(__file__).parents[2] / "vectors" / "ledger"


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_an_earlier_version_keeps_all_it_spent_and_spends_nothing_before_it_has_an_anchor(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript((WRITTEN / f"version-{version}.sql").read_text(encoding="utf-8"))
    connection.close()
    ledger = Ledger.open(path)
    spent = {(row.dataset, row.block): row.spent_nano_rho for row in ledger.statement().rows}
    assert spent == {
        ("north/cases", "2021"): 1077,
        ("north/cases", "2022"): 0,
        ("north/cases", ""): 1077,
        ("south/cases", "2021"): 77,
        ("south/cases", "2022"): 0,
        ("south/cases", ""): 77,
    }
    known = ledger.find(IdempotencyKey(text="request-0"))
    assert known is not None
    assert (known.state, known.result_digest) == (ChargeState.REVEALED, RESULT)
    waiting = ledger.find(IdempotencyKey(text="request-1"))
    assert waiting is not None
    with pytest.raises(LedgerAnchorMissingError, match="earlier version"):
        ledger.begin_draw(waiting.receipt)
    assert ledger.anchor_path is None
    for named in (None, "0" * 32):
        with pytest.raises(LedgerAnchorMissingError, match="by its id"):
            ledger.set_anchor(tmp_path / "first.anchor", first=named)
    ledger.set_anchor(tmp_path / "first.anchor", first=ledger.id)
    ledger.begin_draw(waiting.receipt)
    assert Ledger.open(path).statement().rows == ledger.statement().rows
    ledger.check_anchor()


def test_an_upgrade_makes_the_tables_that_a_new_ledger_has(tmp_path: Path) -> None:
    upgraded, fresh = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    connection = sqlite3.connect(upgraded)
    connection.executescript((WRITTEN / "version-1.sql").read_text(encoding="utf-8"))
    connection.close()
    Ledger.open(upgraded)
    Ledger.create(fresh, LedgerPolicy(account=BudgetPolicy.of("2", "1e-6")))
    assert shape(upgraded) == shape(fresh)


def shape(path: Path) -> dict[str, object]:
    """Tables with their columns, keys and references, indexes and triggers of a file."""
    connection = sqlite3.connect(path)
    found: dict[str, object] = {
        f"{kind} {name}": sql
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE type = 'trigger'")
    }
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for about in ("table_info", "foreign_key_list"):
            found[f"{about} {name}"] = sorted(row[1:] for row in connection.execute(f"PRAGMA {about}({name})"))
        indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
        found[f"indexes {name}"] = sorted(
            (row[2], tuple(column[2] for column in connection.execute(f"PRAGMA index_info({row[1]})")))
            for row in indexes
        )
        found[f"strict {name}"] = connection.execute(
            "SELECT strict FROM pragma_table_list WHERE name = ?", (name,)
        ).fetchone()
    connection.close()
    return found


@pytest.mark.parametrize("make_desk", ["postgresql"], indirect=True)
def test_a_ledger_of_version_3_on_a_server_keeps_all_it_spent_and_goes_on(desk: Desk, tmp_path: Path) -> None:
    """The tables are those that the steps up to version 3 make; the rows are those of a ledger of today, in the columns of then."""
    spent = desk.draw(1000)
    engine = create_engine(
        make_url(str(desk.place)).set(drivername="postgresql+psycopg"),
        connect_args={"options": f"-c search_path={models.SCHEMA}"},
    )
    later = {"approvers", "vault_of_dataset", "served"}
    with engine.begin() as connection:
        rows = {
            table: [row._asdict() for row in connection.execute(table.select())]
            for table in models.metadata.sorted_tables
            if table.name not in later
        }
        connection.exec_driver_sql(f"DROP SCHEMA {models.SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {models.SCHEMA}")
        config = Config()
        config.set_main_option("script_location", str(Path(_migrate.__file__).with_name("migrations")))
        script = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs("0003", at)) as environment:
            environment.configure(connection=connection, transactional_ddl=True)
            environment.run_migrations()
        for table, kept in rows.items():
            if table.name == "alembic_version":
                continue
            for row in kept:
                if table.name == "anchoring":
                    row.pop("since")
                connection.execute(insert(table).values(**row))
    engine.dispose()
    ledger = desk.open()
    assert desk.spent()["north/cases", "2021"] == spent
    assert ledger.approvers() is None
    assert ledger.statement().anchored_since is not None
    desk.draw(1)
    with pytest.raises(LedgerError), ledger._store.transaction(writes=True) as connection:
        connection.exec_driver_sql("UPDATE account SET spent_nano_rho = 0")


def test_a_ledger_of_version_3_keeps_its_anchor_and_what_it_spent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript((WRITTEN / "version-3.sql").read_text(encoding="utf-8"))
    connection.close()
    ledger = Ledger.open(path)
    assert {row.spent_nano_rho for row in ledger.statement().rows} == {0, 77, 1077}
    assert ledger.anchor_path == tmp_path / "ledger.sqlite.anchor"
    waiting = ledger.find(IdempotencyKey(text="request-1"))
    assert waiting is not None
    with pytest.raises(LedgerAnchorMissingError, match="there is no anchor"):
        ledger.begin_draw(waiting.receipt)
    with pytest.raises(LedgerAnchorMissingError):
        ledger.set_anchor(tmp_path / "other.anchor", first=ledger.id)  # it had one
