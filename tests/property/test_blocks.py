"""Blocks, whatever happens in whatever order: nothing moves a person, and what one block spends leaves the others as they were."""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casehaven.blocks import schema_blocks
from casehaven.intake.uploads import take_in
from casehaven.ledger import BudgetExhaustedError, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.people import People
from casehaven.vault.blocks import UNKNOWN, BlockCodes, earlier, earliest_by_person
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault
from caseschemas import load_schema
from casesynth.privacy import PrivacyLoss, Receipt

SCHEMA = load_schema("ctdc-global")
ROOT = HeldKey(key=bytes(32))
TOKENS = ("a", "b", "c")
YEARS = ("", "2002", "2012", "2022", "2023", "1999", "2024", "no year")
RECEIPT = Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks")
    Vault.create(folder / "vault", ROOT).add_dataset("north", "cases", SCHEMA, 100)
    return folder


records = st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from(YEARS)), min_size=1, max_size=5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("file"), records),
        st.tuples(st.just("correct"), st.tuples(st.sampled_from(TOKENS), st.sampled_from(("", "2003", "2023")))),
        st.tuples(st.just("consent"), st.tuples(st.sampled_from(TOKENS), st.booleans())),
        st.tuples(st.just("erase"), st.sampled_from(TOKENS)),
        st.tuples(st.just("epoch"), st.none()),
    ),
    min_size=2,
    max_size=6,
)


def _write(folder: Path, place: int, rows: list[tuple[str, str]]) -> Path:
    names = ["personToken", *SCHEMA.consent.values(), *(attribute.name for attribute in SCHEMA.analysis)]
    path = folder / f"{place}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        for token, year in rows:
            row = {"personToken": token, "yearOfRegistration": year, "gender": ("Woman", "Man")[place % 2]}
            writer.writerow({**row, **dict.fromkeys(SCHEMA.consent.values(), "yes")})
    return path


def _step(
    vault: Vault, dataset: Dataset, folder: Path, place: int, step: tuple[str, Any], expected: dict[str, str]
) -> None:
    kind, what = step
    people = People(vault, dataset)
    if kind == "file":
        take_in(vault, dataset, _write(folder, place, what))
        for token in {token for token, _ in what} - set(expected):
            said = [year for one, year in what if one == token and year in schema_blocks(SCHEMA)]
            expected[token] = min((year for year in said if year), default="")
    elif kind == "epoch":
        rotate_epoch(vault, "north", f"20{30 + place}-01")
    elif kind == "erase" and what in expected:
        people.erase(what, reason="a property")
        del expected[what]
    elif kind == "consent" and what[0] in expected:
        people.record_consent(what[0], "synthetic_release", given=what[1], language="en", reason="a property")
    elif kind == "correct" and what[0] in expected:
        shown = people.read(what[0], reason="a property")
        if shown.counting[0].cells.get("yearOfRegistration", "") != what[1]:
            people.correct(what[0], {"yearOfRegistration": what[1]}, record=1, reason="a property")


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_no_sequence_of_files_corrections_consents_and_epochs_moves_anybody(
    empty: Path, steps: list[tuple[str, Any]]
) -> None:
    """And everybody who consents is opened with the block that they are in, and with no other."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copytree(empty, folder / "house")
        vault = Vault.open(folder / "house" / "vault", ROOT)
        expected: dict[str, str] = {}
        for number, step in enumerate(steps):
            dataset = vault.dataset("north", "cases")
            _step(vault, dataset, folder, number, step, expected)
            for token in TOKENS:
                person = vault.person_by_token(dataset, token)
                assert (person is None) == (token not in expected)
                if person is not None:
                    assert vault.block_of(dataset, person) == expected[token]
        dataset = vault.dataset("north", "cases")
        held = snapshot(vault, [dataset], "synthetic_release").open_by_block(RECEIPT)
        everybody = snapshot(vault, [dataset], "synthetic_release").open(RECEIPT).people
        assert held.only(None).people == everybody
        for block in {*expected.values(), "2015"}:
            opened = snapshot(vault, [dataset], "synthetic_release", blocks=[block]).open(RECEIPT).people
            assert opened == held.only([block]).people
            assert opened <= list(expected.values()).count(block)
        assert sum(held.only([block]).people for block in schema_blocks(SCHEMA)) == everybody


BLOCKS = ("", "2021", "2022", "2023")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(BLOCKS), min_size=1), st.integers(1, 400_000_000)), min_size=1, max_size=10
    )
)
def test_what_one_block_spends_leaves_the_others_and_nobody_passes_the_cap(charges: list[tuple[set[str], int]]) -> None:
    """Beside a plain dictionary: a charge is taken when every block that it names can pay, and touches no other."""
    with tempfile.TemporaryDirectory() as place:
        policy = LedgerPolicy(account=BudgetPolicy.of("4", "1e-6"))
        ledger = Ledger.create(Path(place) / "ledger.sqlite", policy, keep_open=True)
        cap = ledger.open_dataset("north/cases", BLOCKS)
        spent = dict.fromkeys(BLOCKS, 0)
        for number, (blocks, amount) in enumerate(charges):
            affordable = all(spent[block] + amount <= cap for block in blocks)
            try:
                ledger.charge(
                    key=IdempotencyKey(text=f"request-{number}"),
                    body={"number": number},
                    datasets=["north/cases"],
                    blocks=sorted(blocks),
                    loss=PrivacyLoss(nano_rho=amount),
                    purpose="question",
                )
                assert affordable
                spent |= {block: spent[block] + amount for block in blocks}
            except BudgetExhaustedError:
                assert not affordable
            statement = ledger.statement()
            assert {row.block: row.spent_nano_rho for row in statement.rows} == spent
            assert statement.odometer.nano_rho == max(spent.values()) <= cap  # a person is in one block: the dearest


codes = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=30)


@given(codes, st.randoms(use_true_random=False))
def test_the_earliest_year_is_found_whatever_the_order_and_however_the_records_are_split(
    rows: Any, random: Any
) -> None:
    def settled(rows: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
        persons = np.array([person for person, _ in rows], np.int64)
        return earliest_by_person(7, persons, np.array([place for _, place in rows], np.int16))

    plain = [
        min((place for person, place in rows if person == one and place != UNKNOWN), default=UNKNOWN)
        for one in range(7)
    ]
    assert settled(rows).tolist() == plain
    shuffled = random.sample(rows, len(rows)) + rows[:3]
    assert settled(shuffled).tolist() == plain
    cut = random.randint(0, len(rows))
    assert earlier(settled(rows[:cut]), settled(rows[cut:])).tolist() == plain


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 22))
def test_a_code_is_read_for_its_own_person_and_dataset_alone(key: bytes, one: int, other: int, place: int) -> None:
    made = BlockCodes(key, 7, SCHEMA)
    code = made.code(one, place)
    assert BlockCodes(key, 7, SCHEMA).place(one, code) == place
    for wrong in (BlockCodes(key, 8, SCHEMA), BlockCodes(bytes(32) if any(key) else bytes([1] * 32), 7, SCHEMA)):
        with pytest.raises(SealBrokenError):
            wrong.place(one, code)
    if other != one:
        with pytest.raises(SealBrokenError):
            made.place(other, code)
