"""A raise over the service: a member asks, two people whom the ledger names sign away from it, an officer hands both in, and the ledger decides (privacy rule 19)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.service.ledger.conftest import ONE, TWO

from casehaven.budgets.raises import raise_of, raises_of
from casehaven.core import jobs
from casehaven.core.service_store import ServiceStore
from casehaven.ledger import BudgetRaiseError, RaiseApproval, RaiseRequest, UnknownAccountError
from casehaven.ledger.public import public_statement
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.events import events_after
from casehaven.queries.held import HeldPeople
from casehaven.worker.raises import approve, propose
from casehaven.worker.work import Bench, Done, Work
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk


@dataclass(kw_only=True)
class Office:
    """A service store beside a ledger, and a worker's hands. No job here opens the vault, so there is none."""

    desk: Desk
    store: ServiceStore

    def do(self, kind: str, request: dict[str, Any], dataset: str = "", organisation: str = "north") -> Any:
        """Have a job done."""
        with self.store.writing() as connection:
            new = jobs.NewJob(
                kind=kind, now=100, organisation=organisation, dataset=dataset, request={**request, "actor": "otto"}
            )
            jobs.enqueue(connection, new)
        with self.store.writing(alone=False) as connection:
            taken = jobs.take(connection, lane="short", worker="w", now=100)
        assert taken is not None
        bench = Bench(
            store=self.store,
            vault=cast(Any, None),
            ledger=self.desk.open(),
            held=HeldPeople(),
            signing_key=Path("none"),
            clock=lambda: 1_000,
        )
        handler = {"budget.propose-raise": propose, "budget.approve-raise": approve}[kind]
        done: Done = handler(Work(job=taken, bench=bench))
        return done.result

    def asked(self, **changes: str) -> Any:
        """Ask for a raise of north/cases."""
        return self.do("budget.propose-raise", {"epsilon": "3", "reason": "a second report", **changes}, "north/cases")

    def approved(self, found: Any, key: SigningKey, **options: Any) -> Any:
        """Sign a request as it was shown, and hand the approval in."""
        request = RaiseRequest.parse(found["request"], "the request")
        text = RaiseApproval.by(request, key).to_bytes().decode()
        return self.do("budget.approve-raise", {"raise": found["id"], "approval": text}, **options)

    @property
    def epsilon(self) -> Decimal:
        """What north/cases may spend."""
        return next(
            Decimal(row.cap_epsilon) for row in self.desk.open().statement().rows if row.dataset == "north/cases"
        )

    @property
    def told(self) -> list[str]:
        """What the audit log is told."""
        with self.store.reading() as connection:
            return [event.action for event in events_after(connection, 0)]


@pytest.fixture
def office(desk: Desk, tmp_path: Path) -> Iterator[Office]:
    yield Office(desk=desk, store=ServiceStore.create(tmp_path / "service"))


def test_two_people_raise_a_cap_and_the_public_statement_says_who_and_why(office: Office) -> None:
    found = office.asked()
    assert (found["state"], found["approvals"], office.epsilon) == ("proposed", [], Decimal(2))
    assert [each["name"] for each in found["approvers"]] == ["Director", "Data steward"]
    first = office.approved(found, ONE)
    assert (first["state"], office.epsilon) == ("proposed", Decimal(2))
    assert [each["fingerprint"] for each in first["approvals"]] == [ONE.public_key.fingerprint]
    assert office.approved(found, ONE)["state"] == "proposed"  # the same person twice is one person
    second = office.approved(found, TWO)
    assert (second["state"], second["raised_at"], office.epsilon) == ("raised", 1_000, Decimal(3))
    (stated,) = cast(Any, public_statement(office.desk.open()))["raises"]
    assert stated["reason"] == "a second report"
    assert set(stated["approved_by"]) == {ONE.public_key.fingerprint, TWO.public_key.fingerprint}
    assert office.told == ["budget.raise_proposed", "budget.raise_approved", "budget.raise_approved", "budget.raised"]


def test_a_worker_that_died_after_the_raise_writes_it_down_at_the_next_attempt(office: Office) -> None:
    found = office.asked()
    office.approved(found, ONE)
    request = RaiseRequest.parse(found["request"], "the request")
    office.desk.open().raise_cap([RaiseApproval.by(request, key) for key in (ONE, TWO)])
    assert office.approved(found, TWO)["state"] == "raised"
    assert office.epsilon == Decimal(3)


def test_a_key_that_the_ledger_does_not_name_approves_nothing(office: Office) -> None:
    found = office.asked()
    with pytest.raises(BudgetRaiseError, match="not one of those whom the ledger names"):
        office.approved(found, SigningKey.create())
    with office.store.reading() as connection:
        assert raise_of(connection, found["id"], "north")["approvals"] == []


def test_an_approval_of_another_request_or_with_another_signature_is_refused(office: Office) -> None:
    found, other = office.asked(), office.asked(epsilon="4")
    request = RaiseRequest.parse(other["request"], "the request")
    whole = json.loads(RaiseApproval.by(request, ONE).to_bytes())
    forged = {**whole, "request": found["request"]}
    for text in (json.dumps(whole), json.dumps(forged), "[]", "{", "nothing", json.dumps({**whole, "more": 1})):
        with pytest.raises(BudgetRaiseError):
            office.do("budget.approve-raise", {"raise": found["id"], "approval": text})
    assert office.epsilon == Decimal(2)


def test_rows_of_the_store_alone_raise_nothing(office: Office) -> None:
    """Whoever can write the store plants an approval that somebody else's key made."""
    from casehaven.budgets.raises import add_approval

    found = office.asked()
    request = RaiseRequest.parse(found["request"], "the request")
    planted = RaiseApproval.by(request, SigningKey.create())
    with office.store.writing() as connection:
        add_approval(
            connection,
            1,
            digest=found["id"],
            fingerprint=TWO.public_key.fingerprint,
            approval=planted.to_bytes().decode(),
            sent_by="mallory",
        )
    assert office.approved(found, ONE)["state"] == "proposed"
    assert office.epsilon == Decimal(2)


@pytest.mark.parametrize(
    "changes", [{"epsilon": "2"}, {"epsilon": "1.5"}, {"epsilon": "0"}, {"reason": " "}, {"reason": "a\nb"}]
)
def test_a_raise_goes_up_and_has_a_reason(office: Office, changes: dict[str, str]) -> None:
    with pytest.raises(BudgetRaiseError):
        office.asked(**changes)


def test_a_request_of_another_organisation_is_not_there(office: Office) -> None:
    found = office.asked()
    with pytest.raises(NotFoundError):
        office.approved(found, ONE, organisation="south")
    with pytest.raises(UnknownAccountError):
        office.do("budget.propose-raise", {"epsilon": "3", "reason": "why"}, "north/nothing")
    with office.store.reading() as connection:
        assert raises_of(connection, "south", before=None, limit=9) == []
        assert len(raises_of(connection, "north", before=None, limit=9)) == 1
