"""The life of an agreement in any order, beside a model that knows the rules in five lines: proposed, signed, declined, changed, revoked, expired, asked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.round_table import CAP, laid_table

from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.errors import (
    AgreementBudgetError,
    AgreementChangedError,
    AgreementNeededError,
    NotAgreedError,
)
from casehaven.agreements.service import agreement_of, decline
from casehaven.ledger import IdempotencyKey
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.worker.pooling import payer, permission
from casesynth.privacy import PrivacyLoss

CONTRIBUTORS = ("east", "north", "south")
PRICE = 1_000
BUDGET = 3 * PRICE
DAY = 86_400
ASKED = {"gender": "as_is"}


@dataclass
class Known:
    """What the model knows of one document."""

    document: AgreementDocument
    purposes: tuple[str, ...]
    last_day: int
    signed: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether everybody signed it, and nobody declined."""
        return not self.declined and self.signed >= set(self.document.contributors)


class Life(RuleBasedStateMachine):
    """One agreement between two or three organisations, and those who ask under it."""

    base: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.known: list[Known] = []
        self.revoked = False

    @initialize()
    def sit_down(self) -> None:
        self.table = laid_table(self.base).again(Path(self.folder.name) / "table")
        self.propose("north", {"east", "south"}, "pooled_statistics", 3, True)

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- the model ---

    @property
    def today(self) -> int:
        return self.table.door.clock() // DAY

    @property
    def standing(self) -> Known | None:
        """The last document that everybody signed, unless it is over."""
        found = [each for each in self.known if each.whole]
        return None if self.revoked or not found or found[-1].last_day < self.today else found[-1]

    @property
    def holders(self) -> tuple[str, ...]:
        """Who may change or revoke: the contributors of what everybody signed last, else of the latest."""
        signed = [each for each in self.known if each.whole]
        return (signed or self.known)[-1].document.contributors

    # --- what people do ---

    @rule(
        by=st.sampled_from(CONTRIBUTORS),
        others=st.sets(st.sampled_from(CONTRIBUTORS), max_size=1),
        purpose=st.sampled_from(["pooled_statistics", "synthetic_release"]),
        days=st.integers(0, 3),
        signed=st.booleans(),
    )
    def propose(self, by: str, others: set[str], purpose: str, days: int, signed: bool) -> None:
        names = sorted({by, *others})
        change = self.known[0].document.agreement if self.known else None
        terms: dict[str, Any] = {
            "contributions": [{"dataset": f"{name}/cases", "fields": ASKED} for name in names],
            "purposes": [purpose],
            "max_tokens_per_person": len(names),
            "people_cap": 3 * CAP,
            "budget_nano_rho": BUDGET,
            "expires": datetime.fromtimestamp((self.today + days) * DAY, UTC).date().isoformat(),
        }
        may = change is None or (not self.revoked and by in self.holders)
        if not may:
            with pytest.raises(NotFoundError):
                self.table.propose(by, change, **terms)
            return
        made = self.table.propose(by, change, **terms)
        self.known.append(Known(document=made, purposes=(purpose,), last_day=self.today + days))
        for name in made.contributors if signed else ():
            self.table.sign(made, name)
            self.known[-1].signed.add(name)

    @precondition(lambda self: self.known)
    @rule(by=st.sampled_from(CONTRIBUTORS), which=st.integers(0, 3))
    def sign(self, by: str, which: int) -> None:
        chosen = self.known[max(len(self.known) - 1 - which, 0)]
        self.table.step_up(self.table.stewards[by])
        if not any(by in each.document.contributors for each in self.known):
            with pytest.raises(NotFoundError):
                self.table.sign(chosen.document, by)
        elif self.is_over(chosen):
            with pytest.raises(AgreementChangedError):
                self.table.sign(chosen.document, by)
        elif by not in chosen.document.contributors:
            with pytest.raises(NotFoundError):
                self.table.sign(chosen.document, by)
        else:
            self.table.sign(chosen.document, by)
            chosen.signed.add(by)

    def is_over(self, chosen: Known) -> bool:
        """Whether a document can be signed and declined no more."""
        return chosen is not self.known[-1] or self.revoked or chosen.last_day < self.today or bool(chosen.declined)

    @precondition(lambda self: self.known)
    @rule(by=st.sampled_from(CONTRIBUTORS), which=st.sampled_from([0, 0, 1]))
    def decline(self, by: str, which: int) -> None:
        chosen = self.known[max(len(self.known) - 1 - which, 0)]
        self.table.step_up(self.table.stewards[by])
        if not any(by in each.document.contributors for each in self.known):
            with pytest.raises(NotFoundError):
                self.no(chosen.document, by)
        elif chosen is self.known[-1] and by in chosen.declined:
            self.no(chosen.document, by)  # done twice, it is done
        elif self.is_over(chosen):
            with pytest.raises(AgreementChangedError):
                self.no(chosen.document, by)
        elif by not in chosen.document.contributors:
            with pytest.raises(NotFoundError):
                self.no(chosen.document, by)
        elif chosen.whole:
            with pytest.raises(AgreementChangedError):
                self.no(chosen.document, by)
        else:
            self.no(chosen.document, by)
            chosen.declined.add(by)

    def no(self, document: AgreementDocument, by: str) -> None:
        """Let a steward decline a document."""
        who = self.table.door.principal(self.table.stewards[by])
        with self.table.door.store.writing() as connection:
            decline(connection, self.table.door.clock(), who, document.agreement, document.digest)

    @precondition(lambda self: self.known)
    @rule(by=st.sampled_from(CONTRIBUTORS), sure=st.integers(0, 2))
    def revoke(self, by: str, sure: int) -> None:
        if sure:
            return  # seldom: nothing comes after it
        if by in self.holders:
            self.table.revoke(self.known[0].document.agreement, by)
            self.revoked = True
        else:
            with pytest.raises(NotFoundError):
                self.table.revoke(self.known[0].document.agreement, by)

    @rule(days=st.integers(0, 2))
    def wait(self, days: int) -> None:
        self.table.door.clock.now += days * DAY
        for person in (*self.table.stewards.values(), self.table.asker):
            self.table.step_up(person)

    @precondition(lambda self: self.known)
    @rule()
    def ask(self) -> None:
        """Ask for the permission and charge under it, as a question does."""
        agreement, standing = self.known[0].document.agreement, self.standing
        work = self.table.job("question.ask", self.table.asker, {"agreement": agreement, "question": {}})
        if standing is None:
            with pytest.raises(AgreementNeededError):
                permission(work, "pooled_statistics", Operation.QUESTION_ASK)
            return
        if "pooled_statistics" not in standing.purposes:
            with pytest.raises(NotAgreedError):
                permission(work, "pooled_statistics", Operation.QUESTION_ASK)
            return
        found = permission(work, "pooled_statistics", Operation.QUESTION_ASK)
        assert found.document == standing.document
        found.pool([""])
        assert [dataset.id for dataset in found.counted] == list(standing.document.datasets)
        loss = PrivacyLoss(nano_rho=PRICE)
        try:
            with found.permit(loss):
                self.table.bench.ledger.charge(
                    key=IdempotencyKey(text=found.key),
                    body={},
                    datasets=standing.document.datasets,
                    blocks=[""],
                    loss=loss,
                    purpose="question",
                    analyst=payer(standing.document),
                    vault_id=self.table.bench.vault.vault_id,
                )
        except AgreementBudgetError:
            spent = [self.table.spent(dataset) for dataset in standing.document.datasets]
            assert max(spent) == BUDGET, "refused before any dataset had spent the agreement's budget"

    @invariant()
    def what_is_in_force_is_what_the_model_says(self) -> None:
        if self.known:
            with self.table.door.store.reading() as connection:
                found = agreement_of(connection, self.known[0].document.agreement)
            standing = self.standing
            assert found.in_force(self.table.door.clock()) == (None if standing is None else standing.document)

    @invariant()
    def no_dataset_spends_more_than_the_agreement_allows(self) -> None:
        if self.known:
            assert all(self.table.spent(f"{name}/cases") <= BUDGET for name in CONTRIBUTORS)


def test_an_agreement_is_in_force_exactly_when_the_model_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    Life.base = tmp_path_factory.getbasetemp()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
