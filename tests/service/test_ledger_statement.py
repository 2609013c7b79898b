"""What the statement says: exact rows, epsilons rounded up, and an odometer that is never below the worst person."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehaven.ledger import BudgetPolicy, BudgetPolicyError, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.ledger.odometer import shared_of, worst_person
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.accounting import epsilon_for

ACCOUNT = BudgetPolicy.of("8", "1e-6")
DATASETS = ("a/x", "b/x", "c/x")
BLOCKS = ("2001", "2002")

charges = st.lists(
    st.tuples(
        st.integers(1, 50),
        st.sets(st.sampled_from(DATASETS), min_size=1).map(sorted),
        st.sets(st.sampled_from(BLOCKS), min_size=1).map(sorted),
    ),
    max_size=8,
)


def worst_by_trying_every_person(made: list[tuple[int, list[str], list[str]]], tokens: int) -> int:
    """A person has one token in each of some datasets, in one block of each; rho n^2 for a charge that touches n tokens."""
    worst = 0
    for size in range(1, tokens + 1):
        for datasets in combinations(DATASETS, size):
            for blocks in product(BLOCKS, repeat=size):
                person = list(zip(datasets, blocks, strict=True))
                touched = ((rho, sum(d in ds and b in bs for d, b in person)) for rho, ds, bs in made)
                worst = max(worst, sum(rho * n * n for rho, n in touched))
    return worst


def odometer(made: list[tuple[int, list[str], list[str]]], tokens: int | None) -> int:
    balances = {
        dataset: max(sum(rho for rho, ds, bs in made if dataset in ds and block in bs) for block in BLOCKS)
        for dataset in DATASETS
    }
    shared = shared_of((str(index), rho, dataset) for index, (rho, ds, _) in enumerate(made) for dataset in ds)
    return worst_person(LedgerPolicy(account=ACCOUNT, max_tokens_per_person=tokens), balances, shared).nano_rho


@given(made=charges, tokens=st.integers(1, 3))
def test_the_odometer_is_never_below_the_worst_person(
    made: list[tuple[int, list[str], list[str]]], tokens: int
) -> None:
    assert odometer(made, tokens) >= worst_by_trying_every_person(made, tokens)


@given(amounts=st.lists(st.integers(1, 50), max_size=6), tokens=st.integers(1, 3))
def test_the_odometer_is_exact_when_all_datasets_are_always_charged_together(amounts: list[int], tokens: int) -> None:
    made = [(amount, list(DATASETS), list(BLOCKS)) for amount in amounts]
    assert odometer(made, tokens) == worst_by_trying_every_person(made, tokens) == sum(amounts) * tokens**2


@given(amounts=st.lists(st.tuples(st.integers(1, 50), st.sampled_from(DATASETS)), max_size=6), tokens=st.integers(1, 3))
def test_the_odometer_is_exact_when_no_datasets_are_charged_together(
    amounts: list[tuple[int, str]], tokens: int
) -> None:
    made = [(amount, [dataset], ["2001"]) for amount, dataset in amounts]
    assert odometer(made, tokens) == worst_by_trying_every_person(made, tokens)


def test_without_a_stated_number_a_person_is_taken_to_be_in_every_dataset() -> None:
    made = [(5, list(DATASETS), list(BLOCKS))]
    assert odometer(made, None) == odometer(made, 3) == odometer(made, 1000) == 45


def test_the_statement_of_a_real_ledger_shows_rows_and_odometer(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=ACCOUNT, max_tokens_per_person=2))
    assert ledger.statement().rows == ()
    assert (ledger.statement().odometer.tokens, ledger.statement().odometer.nano_rho) == (0, 0)
    for dataset in DATASETS:
        ledger.open_dataset(dataset, [*BLOCKS, ""])
    loss = PrivacyLoss(nano_rho=10_000_000)
    ledger.charge(
        key=IdempotencyKey.create(), body={}, datasets=DATASETS, blocks=["2001"], loss=loss, purpose="synthetic_release"
    )
    statement = ledger.statement()
    row = statement.rows[1]
    assert [(r.dataset, r.block) for r in statement.rows] == sorted(product(DATASETS, ["", *BLOCKS]))
    assert (row.dataset, row.block, row.spent_nano_rho) == ("a/x", "2001", 10_000_000)
    assert row.remaining_nano_rho == ACCOUNT.cap_nano_rho() - 10_000_000
    assert row.epsilon == epsilon_for(10_000_000, 1e-6)
    assert statement.rows[0].epsilon == 0.0
    assert (statement.odometer.tokens, statement.odometer.nano_rho) == (2, 40_000_000)
    assert statement.odometer.epsilon == epsilon_for(40_000_000, 1e-6)


@pytest.mark.parametrize("tokens", [0, -1, 1001, True])
def test_a_person_is_in_at_least_one_dataset(tokens: int) -> None:
    with pytest.raises(BudgetPolicyError):
        LedgerPolicy(account=ACCOUNT, max_tokens_per_person=tokens)


def test_a_charge_of_additive_delta_leaves_the_epsilon_of_several_tokens_unstated(tmp_path: Path) -> None:
    account = BudgetPolicy(epsilon=ACCOUNT.epsilon, delta_units=10**9, additive_delta_units=100)
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=account))
    for dataset in DATASETS[:2]:
        ledger.open_dataset(dataset, BLOCKS)
    loss = PrivacyLoss(nano_rho=5, delta_units=1)
    ledger.charge(
        key=IdempotencyKey.create(), body={}, datasets=["a/x"], blocks=["2001"], loss=loss, purpose="synthetic_release"
    )
    assert ledger.statement().odometer.epsilon is None
