"""The ledger as a state machine, on both databases: whatever is called in whatever order, it agrees with a plain dictionary, and no loss is ever unpaid.

Calls are charges, draws, results, allowances, raises by two people, copies that are put back, and resumptions. The model knows the true loss: what was drawn, whatever
the ledger was made to forget of it.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import insert, text

from casehaven.ledger import (
    AllowanceExhaustedError,
    AlreadyRevealedError,
    AnalystId,
    BudgetExhaustedError,
    BudgetPolicy,
    BudgetRaiseError,
    DrawRefusedError,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerBehindAnchorError,
    LedgerError,
    LedgerPolicy,
    OdometerExhaustedError,
    RaiseApproval,
    RaiseRequest,
    UnknownAccountError,
    models,
)
from casehaven.ledger.odometer import shared_of, worst_person_nano_rho
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.conftest import Postgres

DATASETS = ("a/x", "b/x")
BLOCKS = ("2001", "2002", "")
EPSILONS = ("0.01", "0.012", "0.015")
CAPS = tuple(BudgetPolicy.of(epsilon, "1e-6").cap_nano_rho() for epsilon in EPSILONS)
CAP = CAPS[0]
POLICY = LedgerPolicy(account=BudgetPolicy.of(EPSILONS[0], "1e-6"), odometer_epsilon=Decimal("0.018"))
ODOMETER_CAP = POLICY.odometer_policy().cap_nano_rho()
ANALYSTS = (None, AnalystId(text="amina"), AnalystId(text="omar"))
ONE, TWO = SigningKey.create(), SigningKey.create()
TRUST = TrustStore().add("one", ONE.public_key).add("two", TWO.public_key)

some_datasets = st.sets(st.sampled_from(DATASETS), min_size=1).map(sorted)
some_blocks = st.sets(st.sampled_from(BLOCKS), min_size=1).map(sorted)

Account = tuple[str, str]


@dataclass
class Charged:
    request: object
    receipt: Receipt
    accounts: list[Account]
    draws: int = 0
    digest: str | None = None
    dead: bool = False
    """Made before a resumption."""


@dataclass
class Model:
    """What the ledger's file should hold: a copy of it is a deep copy of this."""

    spent: dict[Account, int] = field(default_factory=dict)
    charges: dict[str, Charged] = field(default_factory=dict)
    limits: dict[tuple[AnalystId, str], int | None] = field(default_factory=dict)
    used: dict[tuple[AnalystId, str], int] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)
    """By dataset, how often its cap was raised."""
    joint: list[tuple[int, list[str]]] = field(default_factory=list)
    ceilings: dict[Account, int] = field(default_factory=dict)
    entries: list[str] = field(default_factory=list)
    resumed: int = 0

    def cap(self, dataset: str) -> int:
        return CAPS[self.raised.get(dataset, 0)]

    def odometer(self) -> int:
        balances: dict[str, int] = {}
        for (dataset, _), amount in self.spent.items():
            balances[dataset] = max(balances.get(dataset, 0), amount)
        touched = ((str(n), rho, dataset) for n, (rho, datasets) in enumerate(self.joint) for dataset in datasets)
        return worst_person_nano_rho(balances, shared_of(touched), len(balances))


class LedgerMachine(RuleBasedStateMachine):
    def place(self) -> Path | str:
        """Where a new ledger may be made."""
        return self.folder / "ledger.sqlite"

    def copy_ledger(self) -> None:
        """Keep a copy of the ledger, without its anchor."""
        shutil.copy(self.folder / "ledger.sqlite", self.folder / "kept")

    def restore_ledger(self) -> None:
        """Put the copy back in the ledger's place."""
        shutil.copy(self.folder / "kept", self.folder / "ledger.sqlite")
        self.reopen()

    @initialize()
    def create(self) -> None:
        memory = Path("/dev/shm")  # a disk that forgets serves: nobody is killed here
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.at = self.place()
        self.ledger = Ledger.create(
            self.at, POLICY, anchor=self.folder / "anchor", approvers=TRUST, keep_open=self.keeps_open
        )
        self.ledger_id = self.ledger.id
        self.model = Model()
        # what the world outside remembers, whatever is put back
        self.end: list[str] = []
        self.ceilings: dict[Account, int] = {}
        self.anchored_raises: dict[str, int] = {}
        self.lost: dict[Account, int] = {}
        self.kept: Model | None = None
        self.happened = 0
        self.open_dataset("a/x", list(BLOCKS))
        self.open_dataset("b/x", ["2001"])

    keeps_open: ClassVar[bool] = False

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def outcome(self, expected: type[LedgerError] | None, raised: LedgerError | None) -> None:
        assert type(raised) is (expected or type(None)), (expected, raised)

    def behind(self) -> bool:
        return self.model.entries[: len(self.end)] != self.end

    def enter(self, *, confirmed: bool = True) -> None:
        self.happened += 1
        self.model.entries.append(f"entry {self.happened}")
        if confirmed:
            self.end = list(self.model.entries)

    @rule(dataset=st.sampled_from(DATASETS), blocks=some_blocks)
    def open_dataset(self, dataset: str, blocks: list[str]) -> None:
        new = [block for block in blocks if (dataset, block) not in self.model.spent]
        expected = LedgerBehindAnchorError if new and self.behind() else None
        raised: LedgerError | None = None
        try:
            assert self.ledger.open_dataset(dataset, blocks) == self.model.cap(dataset)
            for block in new:
                self.model.spent[dataset, block] = 0
            if new:
                self.enter()
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.at, keep_open=self.keeps_open)

    @rule(
        analyst=st.sampled_from(ANALYSTS[1:]),
        dataset=st.sampled_from(DATASETS),
        limit=st.one_of(st.none(), st.integers(0, CAP)),
    )
    def set_allowance(self, analyst: AnalystId, dataset: str, limit: int | None) -> None:
        known = any(name == dataset for name, _ in self.model.spent)
        raised: LedgerError | None = None
        try:
            self.ledger.set_allowance(analyst, dataset, limit)
            self.model.limits[analyst, dataset] = limit
        except LedgerError as error:
            raised = error
        self.outcome(None if known else UnknownAccountError, raised)

    @rule(
        key=st.sampled_from([f"request-{number}" for number in range(8)]),
        plan=st.integers(0, 1),
        datasets=some_datasets,
        blocks=some_blocks,
        nano_rho=st.one_of(st.integers(1, CAP // 3), st.sampled_from([1, CAP - 1, CAP, CAP + 1])),
        analyst=st.sampled_from(ANALYSTS),
    )
    def charge(
        self, key: str, plan: int, datasets: list[str], blocks: list[str], nano_rho: int, analyst: AnalystId | None
    ) -> None:
        accounts = [(dataset, block) for dataset in datasets for block in blocks]
        model, request = self.model, (plan, tuple(accounts), nano_rho, analyst)
        known = model.charges.get(key)
        after = copy.deepcopy(model)
        if known is None and all(account in model.spent for account in accounts):
            for account in accounts:
                after.spent[account] += nano_rho
            if len(datasets) > 1:
                after.joint.append((nano_rho, datasets))
        expected: type[LedgerError] | None = None
        if known is not None:
            expected = None if known.request == request else IdempotencyConflictError
        elif self.behind():
            expected = LedgerBehindAnchorError
        elif any(account not in model.spent for account in accounts):
            expected = UnknownAccountError
        elif analyst is not None and any(not self._allowed(analyst, dataset, nano_rho) for dataset in datasets):
            expected = AllowanceExhaustedError
        elif any(after.spent[account] > model.cap(account[0]) for account in accounts):
            expected = BudgetExhaustedError
        elif after.odometer() > ODOMETER_CAP:
            expected = OdometerExhaustedError
        raised: LedgerError | None = None
        try:
            receipt = self.ledger.charge(
                key=IdempotencyKey(text=key),
                body={"plan": plan},
                datasets=datasets,
                blocks=blocks,
                loss=PrivacyLoss(nano_rho=nano_rho),
                purpose="synthetic_release",
                analyst=analyst,
            )
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)
        event(f"charge: {expected.__name__ if expected else 'paid'}")
        if expected in (None, OdometerExhaustedError) and known is None:
            for account in accounts:  # a ceiling that was raised for a refused charge stays raised outside
                if after.spent[account] > model.ceilings.get(account, 0):
                    step = -(-model.cap(account[0]) // 16)
                    fits = min(model.cap(account[0]), -(-after.spent[account] // step) * step)
                    after.ceilings[account] = fits
                    self.ceilings[account] = max(self.ceilings.get(account, 0), fits)
        if expected is None and known is not None:
            assert receipt == known.receipt
        elif expected is None:
            self.model = after
            after.charges[key] = Charged(request, receipt, accounts)
            if analyst is not None:
                for dataset in datasets:
                    after.used[analyst, dataset] = after.used.get((analyst, dataset), 0) + nano_rho
            self.enter(confirmed=False)

    def _allowed(self, analyst: AnalystId, dataset: str, nano_rho: int) -> bool:
        limit = self.model.limits.get((analyst, dataset))
        return limit is None or self.model.used.get((analyst, dataset), 0) + nano_rho <= limit

    @precondition(lambda self: self.model.charges)
    @rule(data=st.data())
    def begin_draw(self, data: st.DataObject) -> None:
        charged = self.model.charges[data.draw(st.sampled_from(sorted(self.model.charges)))]
        expected: type[LedgerError] | None = None
        if self.behind():
            expected = LedgerBehindAnchorError
        elif charged.digest is not None:
            expected = AlreadyRevealedError
        elif charged.draws == 2 or charged.dead:
            expected = DrawRefusedError
        raised: LedgerError | None = None
        try:
            self.ledger.begin_draw(charged.receipt)
            charged.draws += 1
            if charged.draws == 1:
                for account in charged.accounts:
                    self.lost[account] = self.lost.get(account, 0) + charged.receipt.loss.nano_rho
            self.enter()
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    @precondition(lambda self: self.model.charges)
    @rule(data=st.data(), digest=st.sampled_from(["a" * 64, "b" * 64]))
    def mark_revealed(self, data: st.DataObject, digest: str) -> None:
        charged = self.model.charges[data.draw(st.sampled_from(sorted(self.model.charges)))]
        expected: type[LedgerError] | None = None
        if self.behind():
            expected = LedgerBehindAnchorError
        elif charged.digest is not None:
            expected = None if charged.digest == digest else AlreadyRevealedError
        elif charged.draws == 0:
            expected = DrawRefusedError
        raised: LedgerError | None = None
        try:
            self.ledger.mark_revealed(charged.receipt, digest)
            if charged.digest is None:
                self.enter()
            else:
                self.end = list(self.model.entries)
            charged.digest = digest
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    @rule(dataset=st.sampled_from(DATASETS), people=st.integers(1, 2))
    def raise_cap(self, dataset: str, people: int) -> None:
        times = self.model.raised.get(dataset, 0)
        known = any(name == dataset for name, _ in self.model.spent)
        if times + 1 >= len(EPSILONS):
            return
        asked = RaiseRequest.draw_up(
            ledger=self.ledger_id,
            dataset=dataset,
            epsilon_now=EPSILONS[times],
            epsilon=EPSILONS[times + 1],
            reason="more tables",
        )
        expected: type[LedgerError] | None = None
        if self.behind():
            expected = LedgerBehindAnchorError
        elif people < 2 or not known:
            expected = BudgetRaiseError
        raised: LedgerError | None = None
        try:
            self.ledger.raise_cap([RaiseApproval.by(asked, key) for key in (ONE, TWO)[:people]])
            self.model.raised[dataset] = self.anchored_raises[dataset] = times + 1
            self.enter()
        except LedgerError as error:
            raised = error
        self.outcome(expected, raised)

    # --- copies -------------------------------------------------------------------------------------------------------------

    @rule()
    def keep_a_copy(self) -> None:
        self.copy_ledger()
        self.kept = copy.deepcopy(self.model)

    @precondition(lambda self: self.kept is not None)
    @rule()
    def put_the_copy_back(self) -> None:
        assert self.kept is not None
        self.restore_ledger()
        self.model = copy.deepcopy(self.kept)

    @rule(
        dataset=st.sampled_from(DATASETS),
        nano_rho=st.integers(1, CAP // 4),
        number=st.integers(0, 3),
        resumes=st.booleans(),
    )
    def spend_and_put_the_copy_back(self, dataset: str, nano_rho: int, number: int, resumes: bool) -> None:
        self.keep_a_copy()
        self.charge(f"forgotten-{number}", 0, [dataset], ["2001"], nano_rho, None)
        charged = self.model.charges.get(f"forgotten-{number}")
        if charged is not None and not self.behind() and not (charged.draws or charged.dead):
            self.ledger.begin_draw(charged.receipt)
            charged.draws += 1
            for account in charged.accounts:
                self.lost[account] = self.lost.get(account, 0) + charged.receipt.loss.nano_rho
            self.enter()
        self.put_the_copy_back()
        if resumes:
            self.resume()

    @rule()
    def resume(self) -> None:
        was_behind = self.behind()
        assert self.ledger.resume() == was_behind
        if not was_behind:
            return
        for dataset, times in self.anchored_raises.items():
            self.model.raised[dataset] = max(times, self.model.raised.get(dataset, 0))
        self.model.ceilings.update(self.ceilings)
        lost: dict[str, int] = {}
        for account, ceiling in self.ceilings.items():
            more = max(0, ceiling - self.model.spent.get(account, 0))
            lost[account[0]] = max(lost.get(account[0], 0), more)
            self.model.spent[account] = self.model.spent.get(account, 0) + more
        both = [dataset for dataset, amount in lost.items() if amount]
        if len(both) > 1:
            self.model.joint.append((min(lost.values()), both))
        for charged in self.model.charges.values():
            charged.dead = True
        event("resumed, with spending forgotten" if any(lost.values()) else "resumed")
        self.model.resumed += 1
        self.model.entries = list(self.end)
        self.enter()

    @invariant()
    def agrees_with_the_model(self) -> None:
        statement = self.ledger.statement()
        rows = {(row.dataset, row.block): row for row in statement.rows}
        assert {account: row.spent_nano_rho for account, row in rows.items()} == self.model.spent
        for (dataset, _), row in rows.items():
            assert 0 <= row.spent_nano_rho <= row.cap_nano_rho == self.model.cap(dataset)
        assert statement.odometer.nano_rho == self.model.odometer()
        assert len(statement.resumed) == self.model.resumed
        for key, charged in self.model.charges.items():
            found = self.ledger.find(IdempotencyKey(text=key))
            assert found is not None
            assert (found.receipt, found.result_digest) == (charged.receipt, charged.digest)

    @invariant()
    def no_loss_is_unpaid(self) -> None:
        for account, amount in self.lost.items():
            assert amount <= CAPS[self.anchored_raises.get(account[0], 0)]
            if not self.behind():
                assert amount <= self.model.spent[account]


class PostgresMachine(LedgerMachine):
    """The same on a server: a copy is every row of the ledger's tables."""

    keeps_open: ClassVar[bool] = True
    server: ClassVar[Postgres]

    def place(self) -> Path | str:
        """A database without a ledger."""
        return self.server()

    def teardown(self) -> None:
        """Give the database back."""
        super().teardown()
        self.server.give_back(str(self.at))

    def copy_ledger(self) -> None:
        """Keep every row."""
        with self.ledger._store.transaction(writes=False) as connection:
            self.rows = {
                table: [row._asdict() for row in connection.execute(table.select())]
                for table in models.metadata.sorted_tables
            }

    def restore_ledger(self) -> None:
        """Put every row back, as a restore of the server does."""
        with self.ledger._store.transaction(writes=True) as connection:
            names = ", ".join(table.name for table in self.rows)
            connection.execute(text(f"TRUNCATE {names}"))
            for table, rows in self.rows.items():
                if rows:
                    connection.execute(insert(table), rows)
        self.reopen()


def checked(machine: type[LedgerMachine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_a_ledger_in_a_file_agrees_with_a_plain_dictionary() -> None:
    checked(LedgerMachine, 20)


def test_a_ledger_on_a_server_agrees_with_a_plain_dictionary(postgres: Postgres) -> None:
    PostgresMachine.server = postgres
    checked(PostgresMachine, 10)
