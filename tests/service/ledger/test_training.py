"""Made-up people are no people: what is spent on a dataset of training is in no total for one person, refuses nobody's charge, and is in no public statement; on both databases."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tests.service.ledger.conftest import BLOCKS, CAP, POLICY

from casehaven.cli import main
from casehaven.core.training import TrainingDataError
from casehaven.ledger import BudgetExhaustedError, LedgerPolicy, OdometerExhaustedError
from casehaven.ledger.public import public_statement
from casehaven.releases.draft import ReleaseDraft
from caseschemas import shipped_schema

if TYPE_CHECKING:
    from tests.service.ledger.conftest import MakeDesk


def test_practice_takes_nothing_from_anybody(make_desk: MakeDesk) -> None:
    desk = make_desk(LedgerPolicy(account=POLICY.account, odometer_epsilon=Decimal(2)))
    desk.open().open_dataset("north/training", BLOCKS)
    before = desk.open().statement().odometer
    ledger = desk.open(clock=lambda: "2026-10-02T00:00:00Z")
    ledger.begin_draw(desk.charge(CAP - 100, ledger=ledger, datasets=["north/training"]))
    assert desk.open().statement().odometer == before
    november = desk.open(clock=lambda: "2026-11-02T00:00:00Z")
    desk.charge(CAP - 200, ledger=november, datasets=["south/cases"])  # as if nobody had practised
    with pytest.raises(OdometerExhaustedError):
        desk.charge(1_000, datasets=["north/cases"])  # real people count as ever
    with pytest.raises(BudgetExhaustedError):
        desk.charge(1_000, datasets=["north/training"])  # and so does the account's own cap
    stated: Any = public_statement(desk.open(), today=date(2026, 11, 20))
    assert {row["dataset"] for row in stated["accounts"]} == {"north/cases", "south/cases"}
    assert stated["odometer"]["nano_rho_at_most"] == 0
    assert desk.spent()["north/training", "2021"] == CAP - 100  # whoever keeps the ledger sees it


def test_nobody_elses_records_come_under_the_name_that_is_kept_for_made_up_people(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError):
        ReleaseDraft(
            files=(tmp_path / "cases.csv",),
            organisations=("north",),
            dataset="training",
            schema=shipped_schema("ctdc-global"),
            epsilon=1.0,
            people_cap=100,
            out=tmp_path / "bundle",
        )
    vault, key = str(tmp_path / "vault"), f"file:{tmp_path / 'root.key'}"
    there = ("--vault", vault, "--root-key", key)
    assert CliRunner().invoke(main, ["vault", "create", *there]).exit_code == 0
    cap = ("--schema", "ctdc-global", "--people-cap", "50")
    made = CliRunner().invoke(main, ["dataset", "create", "north/training", *cap, *there])
    assert (made.exit_code, "made-up people" in made.stderr) == (1, True), made.output
    file = tmp_path / "cases.csv"
    file.write_text("caseReference,personToken\n1,2\n")
    options = ("--organisation", "north", "--dataset", "training", *cap, *there, "--yes")
    taken = CliRunner().invoke(main, ["intake", str(file), *options])
    assert (taken.exit_code, "made-up people" in taken.stderr) == (1, True), taken.output
    assert "north/training" not in CliRunner().invoke(main, ["dataset", "list", *there]).stdout
