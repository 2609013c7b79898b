"""The ledger as a state machine: whatever is called in whatever order, it agrees with a plain dictionary."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from casehaven.ledger import (
    AlreadyRevealedError,
    BudgetExhaustedError,
    BudgetPolicy,
    DrawRefusedError,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerError,
    LedgerPolicy,
    UnknownAccountError,
)
from casesynth.privacy import PrivacyLoss, Receipt

DATASETS = ("a/x", "b/x")
BLOCKS = ("2001", "2002", "")
POLICY = BudgetPolicy.of("0.01", "1e-6")
CAP = POLICY.cap_nano_rho()

some_datasets = st.sets(st.sampled_from(DATASETS), min_size=1).map(sorted)
some_blocks = st.sets(st.sampled_from(BLOCKS), min_size=1).map(sorted)


@dataclass
class Charged:
    request: object
    receipt: Receipt
    draws: int = 0
    digest: str | None = None


@dataclass
class Model:
    spent: dict[tuple[str, str], int] = field(default_factory=dict)
    charges: dict[str, Charged] = field(default_factory=dict)


class LedgerMachine(RuleBasedStateMachine):
    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Ledger.create(self.folder / "ledger.sqlite", LedgerPolicy(account=POLICY))
        self.model = Model()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def outcome(self, expected: type[LedgerError] | None, raised: LedgerError | None) -> None:
        assert type(raised) is (expected or type(None)), (expected, raised)

    @rule(dataset=st.sampled_from(DATASETS), blocks=some_blocks)
    def open_dataset(self, dataset: str, blocks: list[str]) -> None:
        assert self.ledger.open_dataset(dataset, blocks) == CAP
        for block in blocks:
            self.model.spent.setdefault((dataset, block), 0)

    @rule()
    def reopen(self) -> None:
        self.ledger = Ledger.open(self.ledger.path)

    @rule(
        key=st.sampled_from([f"request-{number}" for number in range(6)]),
        plan=st.integers(0, 1),
        datasets=some_datasets,
        blocks=some_blocks,
        nano_rho=st.one_of(st.integers(1, CAP // 2), st.sampled_from([1, CAP - 1, CAP, CAP + 1])),
    )
    def charge(self, key: str, plan: int, datasets: list[str], blocks: list[str], nano_rho: int) -> None:
        accounts = [(dataset, block) for dataset in datasets for block in blocks]
        request, known = (plan, tuple(accounts), nano_rho), self.model.charges.get(key)
        expected: type[LedgerError] | None = None
        if known is not None:
            expected = None if known.request == request else IdempotencyConflictError
        elif any(account not in self.model.spent for account in accounts):
            expected = UnknownAccountError
        elif any(self.model.spent[account] + nano_rho > CAP for account in accounts):
            expected = BudgetExhaustedError
        raised: LedgerError | None = None
        try:
            receipt = self.ledger.charge(
                key=IdempotencyKey(text=key),
                body={"plan": plan},
                datasets=datasets,
                blocks=blocks,
                loss=PrivacyLoss(nano_rho=nano_rho),
                purpose="synthetic_release",
            )
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)
        if expected is None and known is not None:
            assert receipt == known.receipt
        elif expected is None:
            self.model.charges[key] = Charged(request, receipt)
            for account in accounts:
                self.model.spent[account] += nano_rho

    @precondition(lambda self: self.model.charges)
    @rule(data=st.data())
    def begin_draw(self, data: st.DataObject) -> None:
        charged = self.model.charges[data.draw(st.sampled_from(sorted(self.model.charges)))]
        expected: type[LedgerError] | None = None
        if charged.digest is not None:
            expected = AlreadyRevealedError
        elif charged.draws == 2:
            expected = DrawRefusedError
        raised: LedgerError | None = None
        try:
            self.ledger.begin_draw(charged.receipt)
            charged.draws += 1
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    @precondition(lambda self: self.model.charges)
    @rule(data=st.data(), digest=st.sampled_from(["a" * 64, "b" * 64]))
    def mark_revealed(self, data: st.DataObject, digest: str) -> None:
        charged = self.model.charges[data.draw(st.sampled_from(sorted(self.model.charges)))]
        expected: type[LedgerError] | None = None
        if charged.digest is not None:
            expected = None if charged.digest == digest else AlreadyRevealedError
        elif charged.draws == 0:
            expected = DrawRefusedError
        raised: LedgerError | None = None
        try:
            self.ledger.mark_revealed(charged.receipt, digest)
            charged.digest = digest
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    @invariant()
    def agrees_with_the_model(self) -> None:
        rows = self.ledger.statement().rows
        assert {(row.dataset, row.block): row.spent_nano_rho for row in rows} == self.model.spent
        assert all(0 <= row.spent_nano_rho <= row.cap_nano_rho == CAP for row in rows)
        for key, charged in self.model.charges.items():
            found = self.ledger.find(IdempotencyKey(text=key))
            assert found is not None
            assert (found.receipt, found.result_digest) == (charged.receipt, charged.digest)


TestLedgerAgreesWithAPlainDictionary = LedgerMachine.TestCase
TestLedgerAgreesWithAPlainDictionary.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
