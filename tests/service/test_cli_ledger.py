"""`casehaven ledger`: what people and programs read about the budget."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.ledger import IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.accounting import epsilon_for, rho_for

BLOCKS = ["2021", "2022", "2023", ""]


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["ledger", *arguments], env=env)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "ledger.sqlite"
    assert run("create", "--ledger", str(made), "--epsilon", "4").exit_code == 0
    return made


def spend(path: Path, nano_rho: int, datasets: list[str], blocks: list[str]) -> None:
    Ledger.open(path).charge(
        key=IdempotencyKey.create(),
        body={},
        datasets=datasets,
        blocks=blocks,
        loss=PrivacyLoss(nano_rho=nano_rho),
        purpose="synthetic_release",
    )


def test_a_created_ledger_says_what_it_allows(tmp_path: Path) -> None:
    made = tmp_path / "ledger.sqlite"
    ended = run("create", "--ledger", str(made), "--epsilon", "4", "--delta", "1e-7", "--max-tokens-per-person", "2")
    cap = rho_for(4.0, 1e-7)
    assert ended.exit_code == 0
    assert f"{cap / 1e9:.9f} rho in all: epsilon 4 at delta 1e-7" in ended.stdout
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert Ledger.open(made).statement().policy.max_tokens_per_person == 2


def test_the_ledger_is_found_by_option_then_environment_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("create", "--epsilon", "1").exit_code == 0
    assert (tmp_path / "casehaven-ledger.sqlite").exists()
    named = {"CASEHAVEN_LEDGER": str(tmp_path / "named.sqlite")}
    assert run("create", "--epsilon", "1", env=named).exit_code == 0
    assert (tmp_path / "named.sqlite").exists()
    assert run("create", "--ledger", "third.sqlite", "--epsilon", "1", env=named).exit_code == 0
    assert (tmp_path / "third.sqlite").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epsilon", "0"],
        ["--epsilon", "-1"],
        ["--epsilon", "nan"],
        ["--epsilon", "1e-300"],
        ["--epsilon", "1e300"],
        ["--epsilon", "two"],
        ["--epsilon", "1", "--delta", "0"],
        ["--epsilon", "1", "--delta", "1e-300"],
        ["--epsilon", "1", "--delta", "1"],
    ],
)
def test_a_policy_that_means_nothing_is_refused_and_leaves_no_file(tmp_path: Path, arguments: list[str]) -> None:
    ended = run("create", "--ledger", str(tmp_path / "ledger.sqlite"), *arguments)
    assert ended.exit_code == 1
    assert "try: give an epsilon" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_there_is_never_replaced(path: Path) -> None:
    before = path.read_bytes()
    ended = run("create", "--ledger", str(path), "--epsilon", "8")
    assert ended.exit_code == 1
    assert "exists already" in ended.stderr
    assert path.read_bytes() == before


def test_an_empty_ledger_says_so(path: Path) -> None:
    ended = run("show", "--ledger", str(path))
    named = Ledger.open(path).statement().ledger_id
    assert ended.exit_code == 0
    assert (
        ended.stdout
        == f"no dataset has an account yet; nothing is spent\nledger {named}\nraises: nobody may approve one, for good\n"
    )


def test_show_joins_neighbouring_blocks_that_spent_the_same(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.open_dataset("north/cases", BLOCKS)
    ledger.open_dataset("south/cases", BLOCKS)
    spend(path, 50_000_000, ["north/cases", "south/cases"], BLOCKS)
    spend(path, 7, ["south/cases"], ["2022"])
    lines = [line.split("  ") for line in run("show", "--ledger", str(path)).stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    cap = rho_for(4.0, 1e-6)
    shown = math.ceil(epsilon_for(50_000_000, 1e-6) * 10_000) / 10_000
    assert [row[:3] for row in rows[1:5]] == [
        ["north/cases", "2021 to unknown", "0.050000000"],
        ["south/cases", "2021", "0.050000000"],
        ["south/cases", "2022", "0.050000007"],
        ["south/cases", "2023 to unknown", "0.050000000"],
    ]
    assert rows[1][3:] == [f"{(cap - 50_000_000) / 1e9:.9f}", f"{cap / 1e9:.9f}", f"{shown:.4f}", "4", "1e-06"]
    assert "worst total for one person in 2 datasets: 0.200000007 rho" in rows[-3][0]


def test_show_json_is_exact_for_every_account(path: Path) -> None:
    Ledger.open(path).open_dataset("north/cases", BLOCKS)
    spend(path, 12_345, ["north/cases"], ["2022"])
    shown = json.loads(run("show", "--json", "--ledger", str(path)).stdout)
    assert shown["format"] == "casehaven-ledger-statement/1"
    assert shown["policy"] == {
        "epsilon": "4",
        "delta_units": 10**9,
        "additive_delta_units": 0,
        "max_tokens_per_person": None,
        "epsilon_per_person": None,
    }
    spent = {(row["dataset"], row["block"]): row["spent_nano_rho"] for row in shown["accounts"]}
    assert spent == {("north/cases", block): 12_345 if block == "2022" else 0 for block in BLOCKS}
    for row in shown["accounts"]:
        assert row["remaining_nano_rho"] == row["cap_nano_rho"] - row["spent_nano_rho"]
        assert row["epsilon"] >= (epsilon_for(row["spent_nano_rho"], 1e-6) if row["spent_nano_rho"] else 0)
    assert (shown["odometer"]["tokens"], shown["odometer"]["nano_rho"]) == (1, 12_345)


def test_a_missing_or_damaged_ledger_is_refused_with_advice(path: Path, tmp_path: Path) -> None:
    ended = run("show", "--ledger", str(tmp_path / "none.sqlite"))
    assert (ended.exit_code, "try: name the file with --ledger" in ended.stderr) == (1, True)
    with path.open("r+b") as file:
        file.truncate(5_000)
    ended = run("show", "--ledger", str(path))
    assert ended.exit_code == 1
    assert "is damaged" in ended.stderr
    assert "what was spent stays spent" in ended.stderr
