"""What an earlier anchor, an earlier ledger and a moved file may not do (privacy rules 14, 19 and 20).

Each test puts back a real copy of the ledger or of its anchor, as a restore of either storage does.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from casehaven.ledger import (
    AnswerKey,
    BudgetExhaustedError,
    BudgetPolicy,
    BudgetPolicyError,
    ChargeState,
    IdempotencyKey,
    Ledger,
    LedgerAnchorMissingError,
    LedgerBehindAnchorError,
    LedgerExistsError,
    Step,
    UnboundedAccountError,
)
from casehaven.ledger.anchored import STEPS

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk

CAP = BudgetPolicy.of("2", "1e-6").cap_nano_rho()
STEP = -(-CAP // STEPS)
STRICT = BudgetPolicy.of("0.5", "1e-6")
KEY = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)
REQUEST = "ab" * 32


class Stopped(Exception):
    """The process ended here."""


def stop(step: Step) -> None:
    """End a process after its commit, before the anchor knows."""
    if step == "anchor.begun":
        raise Stopped


# --- an earlier anchor -----------------------------------------------------------------------------------------------------


def test_an_earlier_anchor_is_brought_up_to_date_whole_by_the_next_draw(desk: Desk) -> None:
    """First the one storage is restored, months later the other: together they spent the budget twice."""
    put_back = desk.copy()
    first_anchor = shutil.copy(desk.anchor, desk.folder / "first")
    lost = desk.draw(CAP - STEP + 5)
    desk.open().mark_unbounded("south/cases", REQUEST)
    desk.open().open_dataset("east/cases", ["2023"], STRICT)
    shutil.copy(first_anchor, desk.anchor)
    lost += desk.draw(5)  # below the ceiling that the ledger knows
    put_back()
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= lost
    with pytest.raises(BudgetExhaustedError):
        desk.charge(STEP)
    with pytest.raises(UnboundedAccountError):
        desk.charge(datasets=["south/cases"])
    assert desk.open().open_dataset("east/cases", ["2023"]) == STRICT.cap_nano_rho()


def test_a_resumption_brings_the_anchor_up_to_date_too(desk: Desk) -> None:
    """The anchor forgot what the copy knows; the copy forgot the end that the anchor knows."""
    first_anchor = shutil.copy(desk.anchor, desk.folder / "first")
    start = desk.copy()
    spent = desk.draw(3 * STEP)
    later = desk.copy()
    start()
    shutil.copy(first_anchor, desk.anchor)
    desk.draw(1)  # another course, in the anchor by its end and one sixteenth
    later()
    assert desk.open().resume()
    start()
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= spent


# --- datasets --------------------------------------------------------------------------------------------------------------


def test_an_earlier_copy_opens_no_dataset_so_no_cap_rises_without_two_people(desk: Desk) -> None:
    put_back = desk.copy()
    desk.open().open_dataset("east/cases", ["2023"], STRICT)
    put_back()  # nothing was charged to it: the opening alone is remembered
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().open_dataset("east/cases", ["2023"])
    assert desk.open().resume()
    assert desk.open().open_dataset("east/cases", ["2023"]) == STRICT.cap_nano_rho()


def test_a_dataset_that_the_anchor_knows_is_opened_with_its_policy_only(desk: Desk) -> None:
    """A process that died between the anchor and the ledger: the anchor knows a dataset that the ledger does not."""

    def fail(step: Step) -> None:
        if step == "open.written":
            raise Stopped

    with pytest.raises(Stopped):
        desk.open(failpoint=fail).open_dataset("east/cases", ["2023"], STRICT)
    with pytest.raises(BudgetPolicyError, match=r"the anchor knows east/cases with epsilon 0\.5"):
        desk.open().open_dataset("east/cases", ["2023"])
    assert all(row.dataset != "east/cases" for row in desk.open().statement().rows)
    assert desk.open().open_dataset("east/cases", ["2023"], STRICT) == STRICT.cap_nano_rho()


def test_accounts_that_are_all_there_are_opened_again_without_the_anchor_and_others_are_not(desk: Desk) -> None:
    desk.anchor.unlink()
    assert desk.open().open_dataset("north/cases", ["2021"]) == CAP
    for dataset, blocks in (("north/cases", ["2030"]), ("east/cases", ["2021"])):
        with pytest.raises(LedgerAnchorMissingError):
            desk.open().open_dataset(dataset, blocks)


# --- answers ---------------------------------------------------------------------------------------------------------------


def test_an_answer_is_shown_to_nobody_before_the_anchor_knows_it(desk: Desk) -> None:
    """A copy of before the answer would draw again, and one charge would have shown two answers."""
    receipt = desk.charge()
    desk.open().begin_draw(receipt)
    put_back = desk.copy()
    with pytest.raises(Stopped):
        desk.open(failpoint=stop).store_answer(receipt, KEY, document='{"noise":1}', visible_at=0)
    away = desk.anchor.rename(desk.folder / "away")
    for look in (
        lambda: desk.open().cached_answer(KEY),
        lambda: desk.open().answer_of(receipt),
        lambda: desk.open().answers(),
    ):
        with pytest.raises(LedgerAnchorMissingError):
            look()
    away.rename(desk.anchor)
    shown = desk.open().cached_answer(KEY)
    assert shown is not None
    assert shown.document == '{"noise":1}'
    put_back()
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().begin_draw(receipt)


@pytest.mark.parametrize("look", ["cached_answer", "answer_of", "answers"])
def test_every_way_to_an_answer_makes_its_copies_of_before_be_behind(desk: Desk, look: str) -> None:
    receipt = desk.charge()
    desk.open().begin_draw(receipt)
    put_back = desk.copy()
    with pytest.raises(Stopped):
        desk.open(failpoint=stop).store_answer(receipt, KEY, document="{}", visible_at=0)
    assert getattr(desk.open(), look)(*{"cached_answer": (KEY,), "answer_of": (receipt,), "answers": ()}[look])
    put_back()
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().check_anchor()


# --- a moved anchor --------------------------------------------------------------------------------------------------------


# --- an anchor that is moved while others draw -----------------------------------------------------------------------------


def _is_behind_at(desk: Desk, place: Path, put_back: Callable[[], None]) -> None:
    """The copy of before the draw is told the place, and is behind it."""
    put_back()
    desk.open().set_anchor(place)
    with pytest.raises(LedgerBehindAnchorError):
        desk.open().check_anchor()


def test_an_anchor_that_is_moved_knows_a_draw_that_was_not_confirmed_yet(desk: Desk) -> None:
    receipt, place = desk.charge(1), desk.folder / "elsewhere.anchor"
    put_back = desk.copy()
    with pytest.raises(Stopped):
        desk.open(failpoint=stop).begin_draw(receipt)
    desk.open().set_anchor(place)
    assert not desk.anchor.exists()
    _is_behind_at(desk, place, put_back)


def test_a_draw_is_confirmed_where_the_anchor_was_moved_to_meanwhile(desk: Desk) -> None:
    receipt, place = desk.charge(1), desk.folder / "elsewhere.anchor"
    put_back = desk.copy()

    def move(step: Step) -> None:
        if step == "anchor.due":
            desk.open().set_anchor(place)

    assert desk.open(failpoint=move).begin_draw(receipt).state is ChargeState.DRAWN
    _is_behind_at(desk, place, put_back)


def test_an_anchor_is_moved_by_nobody_while_a_draw_is_being_confirmed(desk: Desk) -> None:
    receipt, place = desk.charge(1), desk.folder / "elsewhere.anchor"
    put_back = desk.copy()
    mover = threading.Thread(target=lambda: desk.open().set_anchor(place))

    def move(step: Step) -> None:
        if step == "anchor.begun":
            mover.start()
            mover.join(0.5)
            assert mover.is_alive()

    assert desk.open(failpoint=move).begin_draw(receipt).state is ChargeState.DRAWN
    mover.join()
    assert not desk.anchor.exists()
    _is_behind_at(desk, place, put_back)


def test_an_anchor_that_is_nowhere_is_said_to_be_missing(desk: Desk) -> None:
    receipt = desk.charge(1)
    desk.anchor.unlink()
    with pytest.raises(LedgerAnchorMissingError):
        desk.open().begin_draw(receipt)
    with pytest.raises(LedgerAnchorMissingError):
        desk.open().check_anchor()


def test_a_copy_of_before_the_anchor_was_moved_is_told_where_it_is_and_resumed(desk: Desk) -> None:
    put_back = desk.copy()
    place = desk.folder / "else.anchor"
    desk.open().set_anchor(place)
    lost = desk.draw(1000)
    put_back()
    with pytest.raises(LedgerAnchorMissingError):
        desk.open().resume()
    desk.open().set_anchor(place)
    with pytest.raises(LedgerBehindAnchorError):
        desk.charge(1)
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= lost
    desk.draw(1)


# --- a copy of before the ledger had an anchor -------------------------------------------------------------------------------

WRITTEN = Path(__file__).parents[2] / "vectors" / "ledger"


def test_a_copy_of_before_the_first_anchor_gets_no_other_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"

    def put_back() -> None:
        for name in ("", "-wal", "-shm"):
            Path(f"{path}{name}").unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript((WRITTEN / "version-2.sql").read_text(encoding="utf-8"))
        connection.close()

    put_back()
    Ledger.open(path).set_anchor(tmp_path / "far.anchor", first=Ledger.open(path).id)
    put_back()
    for place in (tmp_path / "far.anchor", tmp_path / "other.anchor"):
        with pytest.raises(LedgerExistsError):
            Ledger.open(path).set_anchor(place, first=Ledger.open(path).id)
    assert not (tmp_path / "other.anchor").exists()
    waiting = Ledger.open(path).find(IdempotencyKey(text="request-1"))
    assert waiting is not None
    with pytest.raises(LedgerAnchorMissingError):
        Ledger.open(path).begin_draw(waiting.receipt)
