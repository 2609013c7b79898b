"""The life of a draft in any order, beside a model that knows the rules in a few lines: changed, approved, withdrawn, expired, roles that end, drawn."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.front_door import Person
from tests.publishing import shared_room

from casehaven.agreements.errors import AgreementNeededError
from casehaven.blocks import schema_blocks
from casehaven.core.release_rows import DRAFT_SECONDS
from casehaven.drafts.document import Part
from casehaven.drafts.errors import ApprovalError, ApprovalsMissingError, DraftOverError, SamePersonError
from casehaven.drafts.service import StoredDraft
from casehaven.ledger import IdempotencyKey
from casehaven.organisations.errors import NotFoundError
from casehaven.worker.drafts import approved_release
from casehaven.worker.pooling import payer
from casesynth.privacy import PrivacyLoss

DAY = 86_400
CONTRIBUTORS = frozenset({"north", "south"})
PEOPLE = ("nora", "sami", "esra", "otto")
HOME = {"nora": "north", "sami": "south", "esra": "east", "otto": "north"}
PARTS: tuple[Part, ...] = ("steward", "privacy_officer")


@dataclass
class Known:
    """What the model knows of one document."""

    stored: StoredDraft
    over: int
    """The second from which it is over."""
    said: set[tuple[str, str]] = field(default_factory=set)
    """Handle and part of everybody who approved and still counts, or whose role ended."""


class Life(RuleBasedStateMachine):
    """One draft of two organisations under an agreement, and everybody who has something to say about it."""

    base: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.known: list[Known] = []
        self.withdrawn = self.revoked = False
        self.roles: dict[str, set[str]] = {
            "nora": set(PARTS),
            "sami": set(PARTS),
            "esra": set(PARTS),
            "otto": {"privacy_officer"},
        }
        self.charged: set[str] = set()

    @initialize()
    def sit_down(self) -> None:
        self.room = shared_room(self.base).again(Path(self.folder.name) / "room")
        self.agreement = self.room.agree(budget_nano_rho=10**12, expires="2027-12-31")
        self._made(self.room.draft(self.agreement, epsilon=0.2))

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- the model ---

    @property
    def latest(self) -> Known:
        return self.known[-1]

    def over(self, one: Known) -> bool:
        return one is not self.latest or self.withdrawn or self.room.now >= one.over

    def counts(self, one: Known, part: str) -> set[str]:
        """Who approved in a part and still may."""
        return {handle for handle, there in one.said if there == part and part in self.roles[handle]}

    def complete(self, one: Known) -> bool:
        stewards, officers = self.counts(one, "steward"), self.counts(one, "privacy_officer")
        return {HOME[handle] for handle in stewards} >= CONTRIBUTORS and bool(officers)

    def may(self, handle: str, part: str) -> bool:
        if part not in self.roles[handle]:
            return False
        return HOME[handle] in CONTRIBUTORS if part == "steward" else HOME[handle] == "north"

    def person(self, handle: str) -> Person:
        return self.room.officer if handle == "otto" else self.room.table.stewards[HOME[handle]]

    def _made(self, stored: StoredDraft) -> None:
        self.known.append(Known(stored=stored, over=self.room.now + DRAFT_SECONDS))

    # --- what people do ---

    @rule(seldom=st.integers(0, 2))
    def change(self, seldom: int) -> None:
        if seldom:
            return
        first = self.known[0].stored.document.draft
        if self.revoked or "steward" not in self.roles["nora"]:
            return  # that is another test's
        if self.over(self.latest):
            with pytest.raises(DraftOverError):
                self.room.draft(self.agreement, epsilon=0.2, draft=first)
        else:
            self._made(self.room.draft(self.agreement, epsilon=0.2, draft=first))

    @rule(handle=st.sampled_from(PEOPLE), part=st.sampled_from(PARTS), which=st.integers(0, 4))
    def approve(self, handle: str, part: Part, which: int) -> None:
        one = self.known[max(len(self.known) - 1 - (which == 4), 0)]
        expected: type[Exception] | None = None
        if HOME[handle] == "east":
            expected = NotFoundError
        elif self.over(one):
            expected = DraftOverError
        elif not self.may(handle, part):
            expected = ApprovalError
        elif any(said == (handle, other) for said in one.said for other in PARTS if other != part):
            expected = SamePersonError
        if expected is not None:
            with pytest.raises(expected):
                self.room.approve(one.stored, self.person(handle), part)
            return
        self.room.approve(one.stored, self.person(handle), part)
        taken = {HOME[h] if part == "steward" else "" for h in self.counts(one, part)}
        if (HOME[handle] if part == "steward" else "") not in taken:
            one.said.add((handle, part))

    @rule(handle=st.sampled_from(PEOPLE), seldom=st.integers(0, 4))
    def withdraw(self, handle: str, seldom: int) -> None:
        if seldom or not self.roles[handle]:
            return
        if HOME[handle] == "east":
            with pytest.raises(NotFoundError):
                self.room.withdraw_draft(self.latest.stored, self.person(handle))
            return
        self.room.withdraw_draft(self.latest.stored, self.person(handle))
        self.withdrawn = True

    @rule(handle=st.sampled_from(["otto", "nora", "sami"]), part=st.sampled_from(PARTS), back=st.booleans())
    def role(self, handle: str, part: str, back: bool) -> None:
        """A role ends, or is given back."""
        member = self.room.table.door.member(handle).id
        delete = "DELETE FROM member_role WHERE member = :member AND role = :role"
        self.room.table.execute(delete, member=member, role=part)
        self.roles[handle].discard(part)
        if back:
            insert = "INSERT INTO member_role (member, role, granted_by, granted_at) VALUES (:member, :role, '', 1)"
            self.room.table.execute(insert, member=member, role=part)
            self.roles[handle].add(part)

    @rule(days=st.sampled_from([0, 1, 5]))
    def wait(self, days: int) -> None:
        self.room.table.door.clock.now += days * DAY
        for handle in PEOPLE:
            self.room.table.step_up(self.person(handle))

    @rule(seldom=st.integers(0, 4))
    def revoke(self, seldom: int) -> None:
        if not seldom and "steward" in self.roles["sami"]:
            self.room.table.revoke(self.agreement, "south")
            self.revoked = True

    @rule(which=st.integers(0, 4))
    def draw(self, which: int) -> None:
        """Charge as the job does that draws."""
        one = self.known[max(len(self.known) - 1 - (which == 4), 0)]
        document = one.stored.document
        work = self.room.running(one.stored)
        expected: type[Exception] | None = None
        if self.over(one):
            expected = DraftOverError
        elif not self.complete(one):
            expected = ApprovalsMissingError
        elif self.revoked or "steward" not in self.roles["nora"]:
            expected = AgreementNeededError
        if expected is not None:
            with pytest.raises(expected):
                approved_release(work)
            return
        found, permitted, made = approved_release(work)
        assert permitted.document is not None and found == document
        loss = PrivacyLoss(nano_rho=int(document.fields["nano_rho"]))
        with permitted.permit(loss):
            self.room.table.bench.ledger.charge(
                key=IdempotencyKey(text=permitted.key),
                body={"of": document.digest},
                datasets=document.datasets,
                blocks=schema_blocks(made.schema),
                loss=loss,
                purpose="synthetic_release",
                analyst=payer(permitted.document),
                vault_id=self.room.table.bench.vault.vault_id,
            )
        self.charged.add(document.digest)

    @invariant()
    def what_was_spent_is_what_was_approved_each_draft_once(self) -> None:
        if self.known:
            price = sum(
                int(each.stored.document.fields["nano_rho"])
                for each in self.known
                if each.stored.document.digest in self.charged
            )
            assert [self.room.spent(f"{name}/cases") for name in ("east", "north", "south")] == [0, price, price]


def test_a_draft_is_charged_exactly_when_the_model_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    Life.base = tmp_path_factory.getbasetemp()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=6,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
